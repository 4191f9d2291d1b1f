/** What stays of a deploy whose `init` did things before it failed (src/kernel/deploys). */
import { expect, test } from "vitest";
import { startInProcess } from "../support/kernel-in-process.ts";

const TENANT = "t";
const FAILS = `export default {
  async init(solo) {
    await solo.kv.put("seen", "by the one that failed");
    console.log("about to fail");
    throw new Error("as planned");
  },
};`;
const STARTS = `export default { calls: { seen: (solo) => solo.kv.get("seen") } };`;

test("a deploy that fails in init leaves nothing to the next of its name", async () => {
  await using kernel = await startInProcess();
  const { ask, call } = kernel;
  const service_id = "twice";
  const failed = ask("Deploy", { service_id, code: FAILS }, TENANT);
  await expect(failed).rejects.toMatchObject({ code: "startup_failed" });
  await ask("Deploy", { service_id, code: STARTS }, TENANT);
  expect(await call(TENANT, service_id, "seen")).toBeNull();
});
