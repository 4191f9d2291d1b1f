/**
 * A kernel that dies when a new state is on disk and the service has not started with it:
 * `node replace-kernel.ts DATA_DIR import|reset|nothing`. First it says what it found, as one
 * line of JSON.
 */
import { writeSync } from "node:fs";
import { startInProcess } from "../support/kernel-in-process.ts";

const [dataDir, change] = process.argv.slice(2) as [string, string];
const solo = await startInProcess({
  dataDir,
  faults: (at) => {
    if (at === "replaced") process.kill(process.pid, "SIGKILL");
  },
});
const id = { service_id: "kept" };
const add = () => solo.call("default", "kept", "add") as Promise<number>;
if ((await solo.ask("List", {})).services.length === 0) {
  const code = `export default { init: () => ({ n: 0 }), calls: { add: (solo) => (solo.state.n += 1) } };`;
  const restart_limits = { startup_timeout_ms: 30_000 };
  await solo.ask("Deploy", { ...id, code, persistence: "durable", restart_limits });
}
const { state } = await solo.ask("Status", id);
const { missing } = solo.kernel.bootReport;
writeSync(1, `${JSON.stringify({ state, missing, next: await add() })}\n`);
const { document } = await solo.ask("ExportState", id);
await add();
if (change === "import") await solo.ask("ImportState", { ...id, document });
if (change === "reset") await solo.ask("ResetState", id);
await solo[Symbol.asyncDispose]();
