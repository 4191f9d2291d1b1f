/**
 * A kernel that dies at a step of a swap: `node swap-kernel.ts DATA_DIR VERSION STEP`.
 * First it says what the one before it has left behind, as one line of JSON.
 */
import { startInProcess } from "../support/kernel-in-process.ts";

const [dataDir, version, step] = process.argv.slice(2) as [string, string, string];
const solo = await startInProcess({
  dataDir,
  faults: (at) => {
    if (at === step) process.kill(process.pid, "SIGKILL");
  },
});
const id = { service_id: "counter" };
const code = `export default { version: "${version}",
  init: () => ({ n: 0, v: "${version}", way: [] }),
  codeChange: (old, from) => ({ n: old.n, v: "${version}", way: [...old.way, from + ">" + "${version}"] }),
  calls: { add: (solo) => (solo.state.n += 1), look: (solo) => solo.state } };`;
const { services } = await solo.ask("List", {});
if (services.length === 0) await solo.ask("Deploy", { ...id, code, persistence: "durable" });
const before = await solo.call("default", "counter", "look");
const [service] = (await solo.ask("List", {})).services;
const added = await solo.call("default", "counter", "add");
process.stdout.write(`${JSON.stringify({ state: before, service, added })}\n`);
if (services.length > 0) await solo.ask("Update", { ...id, code });
await solo[Symbol.asyncDispose]();
