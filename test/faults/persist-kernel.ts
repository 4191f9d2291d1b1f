/**
 * A kernel that dies while state goes to disk, or a service falls asleep or wakes:
 * `node persist-kernel.ts DATA_DIR STEP OF`, at the step of the service `tenant/service`. It
 * says what the one before it has left behind, then what has been acknowledged, a line of JSON
 * each.
 */
import { writeSync } from "node:fs";
import { startInProcess } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const [dataDir, step, of] = process.argv.slice(2) as [string, string, string];
let armed = false;
const solo = await startInProcess({
  dataDir,
  faults: (at, whose) => {
    if (armed && at === step && whose === of) process.kill(process.pid, "SIGKILL");
  },
});
/** On its way to whoever reads it before the next line runs. */
const say = (line: object) => void writeSync(1, `${JSON.stringify(line)}\n`);

/** Sleeps when it is told to; the machine may be slow. */
const PATIENT = {
  hibernation: { after_idle_ms: 3_600_000 },
  restart_limits: { startup_timeout_ms: 30_000 },
};
const code = `export default {
  init: async (solo) => { await solo.every(100, "tick"); return { n: 0, ticks: 0, due: [] }; },
  calls: {
    add: (solo) => (solo.state.n += 1),
    look: (solo) => solo.state,
    remind: async (solo, id) => { await solo.after(300, id); },
  },
  info(solo, message) {
    if (message === "tick") solo.state.ticks += 1; else solo.state.due.push(message);
  },
};`;
const ids = ["stateless", "hybrid", "durable"] as const;
const ask = (service_id: string, name: string, ...args: unknown[]) =>
  solo.call("default", service_id, name, ...args);
const look = (id: string) =>
  ask(id, "look") as Promise<{ n: number; ticks: number; due: string[] }>;

const { services } = await solo.ask("List", {});
const { asleep, missing } = solo.kernel.bootReport;
if (missing.length > 0) throw new Error(JSON.stringify(missing));
if (services.length === 0) {
  for (const id of ids) {
    await solo.ask("Deploy", { service_id: id, code, persistence: id, ...PATIENT });
  }
} else {
  const reminder = process.argv[5]!;
  const found = Object.fromEntries(await Promise.all(ids.map(async (id) => [id, await look(id)])));
  const ticked = (id: string) =>
    until(async () => (await look(id)).ticks > found[id].ticks, "tick");
  await Promise.all(ids.map(ticked));
  const slept = process.argv[6] === "slept";
  if (slept) await until(async () => (await look(of.slice(8))).due.includes(reminder), "reminder");
  const names = services.map(({ service_id }) => service_id);
  const states = services.map(({ state }) => state);
  say({ found, names, states, asleep });
}

const replicaOf = (id: string) => solo.replicas("default", id)[0]!;
for (const id of ids) {
  const n = await ask(id, "add");
  if (id !== "hybrid") say({ id, n });
  else {
    await replicaOf(id).flush();
    say({ id, n });
    // Not flushed by whoever dies soon: the last window may be lost.
    await ask(id, "add");
  }
}
armed = true;
const target = of.slice("default/".length);
const replica = replicaOf(target);
const next = await ask(target, "add");
if (target === "durable") say({ id: target, n: next });
await replica.flush();
if (target === "hybrid") say({ id: target, n: next });
await ask(target, "remind", step);
await until(() => replica.hibernate(), `${target} to sleep`);
say({ id: target, n: next, slept: true });
const woken = await ask(target, "add");
say({ id: target, n: woken, woken: true });
await until(() => replicaOf(target).state === "running", "it to run");
// Whoever dies after the wake dies soon; nobody comes this far otherwise.
await new Promise((resolve) => setTimeout(resolve, 20_000));
