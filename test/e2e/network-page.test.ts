/** docs/network.md keeps its word: its sessions run against a kernel with its settings. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import * as limits from "#egress/limits.ts";
import { startKernel } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep, shimDirectory } from "../support/shell.ts";

const PAGE = readFileSync(fileURLToPath(new URL("../../docs/network.md", import.meta.url)), "utf8");
const directory = mkdtempSync(join(tmpdir(), "solo-network-"));
const shims = shimDirectory();
const kernel = await startKernel({
  config: /^```toml\n(.*?)^```/ms.exec(PAGE)![1]!,
});
afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  for (const path of [directory, shims]) rmSync(path, { recursive: true, force: true });
});

test("its sessions print what it says", async () => {
  const page = PAGE.replaceAll("127.0.0.1:8080", new URL(kernel.http).host);
  for (const [, name, source] of page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)) {
    writeFileSync(join(directory, name!), source!);
  }
  const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: kernel.dataDir };
  const steps = stepsOfPage(page);
  expect(steps.length).toBeGreaterThan(4);
  for (const step of steps) await runStep(step, { cwd: directory, http: kernel.http, env });
});

test("its bounds are those of the code", () => {
  for (const text of [
    `At most ${limits.MAX_REDIRECTS} are followed`,
    `| ${limits.MAX_REQUEST_HEADER_BYTES / 1024} KiB |`,
    `${limits.MAX_WAITING_PER_TENANT} of a tenant at most`,
    `| ${limits.MAX_BODY_BYTES_PER_TENANT / 2 ** 20} MiB, ${limits.MAX_BODY_BYTES_IN_ALL / 2 ** 20} MiB |`,
    `| requests of all | ${limits.MAX_IN_ALL} |`,
    `| ${limits.LOOKUP_TIMEOUT_MS / 1000} s, ${limits.CONNECT_TIMEOUT_MS / 1000} s |`,
    `| ${limits.MAX_CODINGS} | \`egress_failed\``,
    `in all, ${limits.IDLE_CONNECTION_MS / 1000} s`,
  ]) {
    expect(PAGE).toContain(text);
  }
  expect(limits.MAX_RESPONSE_HEADER_BYTES).toBe(limits.MAX_REQUEST_HEADER_BYTES);
});
