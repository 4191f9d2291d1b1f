/**
 * A kernel for a moment: in a process and a data directory of its own, on free ports.
 *
 * 1. Disposing it leaves no process and no file.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SoloError } from "#base/errors.ts";
import { createClient, type Client } from "#client/index.ts";

const ENTRY = fileURLToPath(new URL("./solo.ts", import.meta.url));
const READY_MS = 20_000;
const LOOK_AGAIN_MS = 20;
const STOP_MS = 10_000;

export interface ThrowawayKernel extends AsyncDisposable {
  client(tenant?: string): Client;
}

export interface ThrowawayOptions {
  readonly node: string;
  /** Its settings, as environment variables; nothing else of ours reaches it. */
  readonly settings: Readonly<Record<string, string>>;
}

export async function startThrowawayKernel({
  node,
  settings,
}: ThrowawayOptions): Promise<ThrowawayKernel> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-doctor-"));
  const ports = ["http", "listen", "metrics"].flatMap((name) => [`--${name}-port`, "0"]);
  const child = spawn(
    node,
    [ENTRY, "start", "--data-dir", dataDir, "--log-level", "error", ...ports],
    {
      cwd: dataDir,
      env: { PATH: "/usr/bin:/bin", ...settings },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const dispose = async () => {
    await stop(child);
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const url = await ready(child, dataDir);
    const token = readFileSync(join(dataDir, "owner-token"), "utf8").trim();
    return {
      client: (tenant) => createClient({ url, token, ...(tenant !== undefined && { tenant }) }),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function ready(child: ChildProcess, dataDir: string): Promise<string> {
  const deadline = performance.now() + READY_MS;
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    try {
      return (JSON.parse(readFileSync(join(dataDir, "kernel.json"), "utf8")) as { http: string })
        .http;
    } catch {
      await sleep(LOOK_AGAIN_MS);
    }
  }
  throw new SoloError("kernel_unreachable", "The kernel to be attacked did not start.", {
    hint: "Its own words are above; `solo doctor` without --attack needs no kernel.",
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(timer);
}
