/** Every example does what the comment at its head says, command by command. */
import { globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { startKernel } from "../support/kernel.ts";
import { runStep, shimDirectory } from "../support/shell.ts";
import { type Step, stepsOfHeader } from "../support/sessions.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const kernel = await startKernel();
const shims = shimDirectory();

afterAll(async () => {
  rmSync(shims, { recursive: true, force: true });
  await kernel[Symbol.asyncDispose]();
});

async function run(step: Step): Promise<void> {
  if (step.command.startsWith("# kill -9 the kernel")) {
    await kernel.kill9();
    return kernel.restart();
  }
  const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: kernel.dataDir };
  await runStep(step, { cwd: ROOT, http: kernel.http, env });
}

const sources = globSync("examples/**/*.ts", { cwd: ROOT }).toSorted();
const sessions = sources
  .map((path) => [path, stepsOfHeader(readFileSync(join(ROOT, path), "utf8"))] as const)
  .filter(([, steps]) => steps.length > 0);

test.each(sessions)("%s", async (_, steps) => {
  for (const step of steps) await run(step);
});

test("there is an example of each kind, and each shows how to try it", () => {
  expect(sessions.map(([path]) => path)).toEqual([
    "examples/counter.ts",
    "examples/http-server.ts",
    "examples/job-queue/jobs.ts",
    "examples/ledger.ts",
    "examples/pipeline/ingest.ts",
    "examples/worker-pool/boss.ts",
  ]);
  expect(sessions.every(([, steps]) => steps.some(({ output }) => output !== undefined))).toBe(
    true,
  );
});
