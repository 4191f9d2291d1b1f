/** A service whose next revision is on probation. */
import { until, type Body, type TestKernel } from "../support/kernel.ts";

const OLD = `export default { version: "1", init: () => ({ n: 0 }), calls: {
  add: (solo) => (solo.state.n += 1), get: (solo) => solo.state.n },
  terminate: (solo) => solo.events.emit("terminated", {}) };`;
const bad = (more: string) => `export default { version: "2", ${more} calls: {
  add: (solo) => (solo.state.n += 1), poison: (solo) => solo.kv.put("poison", true),
  boom() { throw new Error("boom"); }, get: (solo) => solo.state.n } };`;

export interface Tried {
  readonly service_id: string;
  /** Its revision before. */
  readonly before: string;
  events(event_type: string): Promise<Body[]>;
  /** The first of them, once it is on record. */
  event(event_type: string): Promise<Body>;
  isBack(): Promise<unknown>;
}

/** It had n = 2 when the next revision came, which has made 3 of it. `more`: of its code. */
export async function deployTried(
  kernel: TestKernel,
  { service_id, more = "", watchdog }: { service_id: string; more?: string; watchdog: Body },
): Promise<Tried> {
  await kernel.deploy({ service_id, code: OLD, persistence: "durable" });
  for (let n = 0; n < 2; n += 1) await kernel.call(service_id, "add");
  const before = (await kernel.status(service_id))["revision"] as string;
  const update = await kernel.request("PUT", `/services/${service_id}`, {
    code: bad(more),
    watchdog,
  });
  if (update.body["state"] !== "running") throw new Error(JSON.stringify(update.body));
  await kernel.call(service_id, "add");
  const events = (event_type: string) => kernel.events({ service_id, event_type });
  return {
    service_id,
    before,
    events,
    event: (event_type) =>
      until(async () => (await events(event_type))[0], `${event_type} of ${service_id}`),
    isBack: () =>
      until(async () => (await kernel.status(service_id))["revision"] === before, "the way back"),
  };
}
