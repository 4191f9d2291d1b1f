/**
 * A kernel that dies at a step of the way back: `node probation-kernel.ts DATA_DIR STEP`. What
 * it finds is said first, as one line of JSON; then a bad revision is tried, and fails.
 */
import { startInProcess } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const [dataDir, step] = process.argv.slice(2) as [string, string];
let isOnItsWayBack = false;
const solo = await startInProcess({
  dataDir,
  faults: (at) => {
    if (isOnItsWayBack && at === step) process.kill(process.pid, "SIGKILL");
  },
});
const id = { service_id: "tried" };
const code = (version: string) => `export default { version: "${version}",
  init: () => ({ n: 0 }), calls: { look: (solo) => solo.state.n,
    add: (solo) => (solo.state.n += 1), boom() { throw new Error("boom"); } } };`;
const call = (name: string) => solo.call("default", "tried", name);
const versionNow = async () => (await solo.ask("Status", id)).version;
const { services } = await solo.ask("List", {});
if (services.length === 0) {
  await solo.ask("Deploy", { ...id, code: code("good"), persistence: "durable" });
}
const { version, probation_ms } = await solo.ask("Status", id);
const found = { version, isTried: probation_ms !== undefined, n: await call("look") };
if (version === "bad") {
  // The crash that the kernel died of is forgotten: it shows itself again.
  await call("boom").catch(() => {});
  await until(async () => (await versionNow()) === "good", "the way back");
}
process.stdout.write(`${JSON.stringify({ ...found, back: await call("look") })}\n`);
const watchdog = { window_ms: 600_000, state_on_rollback: "keep_new" };
await solo.ask("Update", { ...id, code: code("bad"), watchdog });
await call("add");
isOnItsWayBack = true;
await call("boom").catch(() => {});
await until(async () => (await versionNow()) === "good", "the way back");
await solo[Symbol.asyncDispose]();
