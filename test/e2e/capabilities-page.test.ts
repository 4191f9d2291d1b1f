/** docs/capabilities.md keeps its word: its session runs against a kernel. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import { startKernel } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep, shimDirectory } from "../support/shell.ts";

const PAGE = readFileSync(
  fileURLToPath(new URL("../../docs/capabilities.md", import.meta.url)),
  "utf8",
);
const directory = mkdtempSync(join(tmpdir(), "solo-capabilities-"));
const shims = shimDirectory();
const kernel = await startKernel();
afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  for (const path of [directory, shims]) rmSync(path, { recursive: true, force: true });
});

test("its session prints what it says", async () => {
  for (const [, name, source] of PAGE.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)) {
    writeFileSync(join(directory, name!), source!);
  }
  const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: kernel.dataDir };
  const steps = stepsOfPage(PAGE);
  expect(steps.length).toBeGreaterThan(12);
  for (const step of steps) await runStep(step, { cwd: directory, http: kernel.http, env });
});

test("its table has every operation on capabilities", () => {
  for (const [name, { http }] of Object.entries<Operation>(catalogue)) {
    if (!name.includes("Capabilit")) continue;
    const row = `| \`${http.method} ${http.path}\` | \`${name}\` |`;
    expect(PAGE).toContain(row);
  }
});
