/**
 * A kernel that dies in a rollout: `node rollout-kernel.ts DATA_DIR VERSION HOW STEP NTH`. First
 * it says what the one before it has left behind and what has become of it, as one line of JSON.
 */
import { silentLogger } from "#base/log.ts";
import { startInProcess } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const [dataDir, version, how, step, nth] = process.argv.slice(2) as [
  string,
  string,
  "promote" | "abort",
  string,
  string,
];
let left = Infinity;
const solo = await startInProcess({
  log: { ...silentLogger, error: (message, about) => console.error(message, about) },
  dataDir,
  faults: (at) => {
    if (at === step && (left -= 1) === 0) process.kill(process.pid, "SIGKILL");
  },
});
const id = { service_id: "counter" };
const code = `export default { version: "${version}",
  init: () => ({ n: 0, v: "${version}", slot: crypto.randomUUID() }),
  codeChange: (old) => ({ ...old, v: "${version}" }),
  calls: { add: (solo) => (solo.state.n += 1), look: (solo) => ({ ...solo.state, code: "${version}" }) } };`;
/** A busy machine is no reason to go back. */
const restart_limits = { startup_timeout_ms: 60_000, code_change_timeout_ms: 60_000 };
const deployed = (await solo.ask("List", {})).services.length > 0;
const { missing } = solo.kernel.bootReport;
if (missing.length > 0 || deployed === (version === "0")) throw new Error(JSON.stringify(missing));
if (!deployed) {
  const more = { persistence: "durable", instances: 2, routing: "key", restart_limits };
  await solo.ask("Deploy", { ...id, code, ...more });
}
const keys = Array.from({ length: 8 }, (_, n) => `key-${n}`);
const ask = async (name: string, key: string) =>
  (await solo.ask("Call", { ...id, name, key })).reply as { slot: string };
const slots = async () => {
  const seen = new Map<string, unknown>();
  for (const key of keys) {
    const state = await ask("look", key);
    seen.set(state.slot, state);
  }
  return [...seen.values()];
};
const found = await slots();
const isOver = async () => (await solo.ask("Status", id)).rollout === undefined;
await until(isOver, "the end of the rollout that was found");
const ended = await slots();
for (const key of keys) await ask("add", key);
const { revision, instances, state } = await solo.ask("Status", id);
const runs = instances.map((each) => each.revision);
const why = await solo.ask("GetRollout", id).then(
  ({ reason }) => reason,
  () => undefined,
);
process.stdout.write(`${JSON.stringify({ found, ended, revision, runs, state, why })}\n`);
if (deployed) {
  left = Number(nth);
  const strategy =
    how === "promote"
      ? { type: "rolling", pause_ms: 1 }
      : { type: "canary", manual: true, steps: [{ percent: 50 }] };
  await solo.ask("Update", { ...id, code, strategy, restart_limits });
  if (how === "abort") await solo.ask("AbortRollout", id);
  await until(isOver, "the end of the rollout");
}
await solo[Symbol.asyncDispose]();
