/** `solo rollout …` and the options of an update that begins one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { strategyInput } from "#cli/commands/rollout.ts";
import { UsageError } from "#cli/usage-error.ts";
import { FakeKernel, json } from "../support/fake-http.ts";
import { runCli } from "../support/run-cli.ts";

const ROLLOUT = {
  id: "ro_1",
  strategy: "canary",
  phase: "observing",
  step: 1,
  steps: 2,
  percent: 10,
  slots: [0],
  from: "r_1",
  to: "r_2",
  since: "2026-01-01T00:00:00.000Z",
  started_at: "2026-01-01T00:00:00.000Z",
};
const UPDATED = {
  tenant_id: "default",
  service_id: "counter",
  revision: "r_1",
  state: "running",
  instance_id: "i_1",
  started_in_ms: 3.21,
  rollout: ROLLOUT,
};

let kernel: FakeKernel;
let cwd: string;
beforeEach(async () => {
  kernel = await FakeKernel.start();
  cwd = await mkdtemp(join(tmpdir(), "solo-source-"));
  await writeFile(join(cwd, "counter.ts"), "export default {}");
});
afterEach(async () => {
  await kernel[Symbol.asyncDispose]();
  await rm(cwd, { recursive: true, force: true });
});
const solo = (...args: string[]) => runCli(args, { dataDir: kernel.dataDir, cwd });

test("an update to what is current already says that nothing was swapped", async () => {
  const { rollout: _, ...same } = UPDATED;
  kernel.on("PUT /services/counter", json({ ...same, unchanged: true }));
  const { code, stdout } = await solo("update", "counter.ts");
  expect(code).toBe(0);
  expect(stdout).toContain("this revision was current already: nothing was swapped");
});

test("an update sends its strategy with shares and durations, and says where it stands", async () => {
  kernel.on("PUT /services/counter", json(UPDATED));
  const { code, stdout } = await solo(
    ..."update counter.ts --strategy canary --steps 10:30s,50 --pause 2m --split key --manual".split(
      " ",
    ),
  );
  expect(code).toBe(0);
  expect(stdout).toContain(
    "canary step 1 of 2: 10 % of the messages, slot 0 on the new revision · observing",
  );
  expect(kernel.last?.body).toMatchObject({
    strategy: {
      type: "canary",
      steps: [{ percent: 10, pause_ms: 30_000 }, { percent: 50 }],
      pause_ms: 120_000,
      split: "key",
      manual: true,
    },
  });
});

test("options of a strategy without one, and shares that are none, are wrong usage", async () => {
  expect(() => strategyInput({ pause: 5 })).toThrow(UsageError);
  expect(strategyInput({})).toBeUndefined();
  expect((await solo("update", "counter.ts", "--strategy", "canary", "--steps", "ten")).code).toBe(
    2,
  );
});

test("status --watch prints each change and ends with the rollout", async () => {
  const back = { ...ROLLOUT, phase: "rolled_back", slots: [], percent: 0, reason: "aborted" };
  kernel.on("GET /services/counter/rollout", json(back));
  expect(await solo("rollout", "status", "counter", "--watch")).toEqual({
    code: 1,
    stdout:
      "canary step 1 of 2: 0 % of the messages, no slot on the new revision · rolled_back (aborted)\n",
    stderr: "",
  });
});
