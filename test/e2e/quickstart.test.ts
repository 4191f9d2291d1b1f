/** The README's commands, typed by a new user in an empty directory. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { portFlags } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep } from "../support/shell.ts";
import { until } from "../support/until.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("npm start brings a kernel up, the quick start works as written, Ctrl-C ends it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "solo-quickstart-"));
  const dataDir = join(directory, "data");
  // What `npx solo` finds where Solo is installed.
  mkdirSync(join(directory, "node_modules/.bin"), { recursive: true });
  symlinkSync(join(ROOT, "bin/solo.js"), join(directory, "node_modules/.bin/solo"));
  const flags = ["--data-dir", dataDir, ...portFlags()];
  const kernel = spawn("npm", ["start", "--", ...flags], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  kernel.stdout.on("data", (bytes) => (printed += String(bytes)));
  kernel.stderr.on("data", (bytes) => (printed += String(bytes)));
  const ended = once(kernel, "close");
  try {
    const announced = join(dataDir, "kernel.json");
    await until(() => existsSync(announced), "the kernel to be ready");
    const { http, grpc, metrics } = JSON.parse(readFileSync(announced, "utf8")) as Record<
      string,
      string
    >;
    await until(
      () => [http, grpc, metrics, "Try it"].every((text) => printed.includes(text!)),
      "its addresses on the terminal",
    );

    const env = { PATH: process.env["PATH"]!, HOME: directory, NO_UPDATE_NOTIFIER: "1" };
    const steps = stepsOfPage(readFileSync(join(ROOT, "README.md"), "utf8"));
    expect(steps.length).toBeGreaterThan(5);
    for (const step of steps)
      await runStep(step, { cwd: directory, http: http!, env, processes: true });

    // A terminal's Ctrl-C reaches the whole group.
    process.kill(-kernel.pid!, "SIGINT");
    const [code] = await ended;
    expect({ code, printed }).toEqual({ code: 0, printed: expect.any(String) });
    expect(existsSync(announced)).toBe(false);
  } finally {
    if (kernel.exitCode === null && kernel.signalCode === null)
      process.kill(-kernel.pid!, "SIGKILL");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
});
