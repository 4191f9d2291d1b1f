/**
 * A kernel that may die while it starts services: `node boot-kernel.ts DATA_DIR FATAL`, at the
 * start of the service `default/FATAL`. Says how it came up, as one line of JSON.
 */
import { startInProcess } from "../support/kernel-in-process.ts";

const [dataDir, fatal] = process.argv.slice(2) as [string, string];
const solo = await startInProcess({
  dataDir,
  faults: (at, whose) => {
    if (at === "attempting" && whose === `default/${fatal}`) process.kill(process.pid, "SIGKILL");
  },
});
const { services } = await solo.ask("List", {});
if (services.length === 0) {
  const code = `export default { calls: { ok: () => true } };`;
  const restart_limits = { startup_timeout_ms: 30_000 };
  for (const service_id of ["a", "b", "c", "killer"]) {
    await solo.ask("Deploy", { service_id, code, restart_limits });
  }
}
const told = await solo.call("default", "killer", "ok").catch((error: unknown) => error);
const { held_back, state } = await solo.ask("Status", { service_id: "killer" });
const { running, missing } = await solo.ask("BootReport", {});
const restarted =
  state === "quarantined" && fatal === "restart"
    ? (await solo.ask("Restart", { service_id: "killer" })).state
    : undefined;
const after = (await solo.ask("Status", { service_id: "killer" })).held_back;
const answer = { running, missing, state, held_back, told, restarted, after };
process.stdout.write(`${JSON.stringify(answer)}\n`);
await solo[Symbol.asyncDispose]();
