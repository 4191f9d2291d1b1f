/** The three things that agents do all day, many times over. */
import { expect } from "vitest";
import type { TestKernel, TestTenant } from "../support/kernel.ts";

/** Every source is new, so that nothing is answered from a cache. */
const source = (index: number) => `export default {
  init: () => ({ data: Array.from({ length: 1000 }, (_, at) => at + ${index}) }),
  calls: { first(solo) { solo.log.info("asked"); return solo.state.data[0]; } },
};`;

export async function deployCallKill(
  tenant: TestTenant,
  options: { from: number; count: number; atOnce: number },
): Promise<void> {
  const { from, count, atOnce } = options;
  let next = from;
  const worker = async () => {
    for (let index = next++; index < from + count; index = next++) {
      const service_id = `churn-${index}`;
      await tenant.deploy({
        service_id,
        code: source(index),
        persistence: index % 3 === 0 ? "durable" : "hybrid",
      });
      expect(await tenant.call(service_id, "first")).toBe(index);
      await tenant.kill(service_id);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

export async function call(
  tenant: TestTenant,
  options: { service: string; count: number; atOnce: number },
): Promise<void> {
  const { service, atOnce } = options;
  let left = options.count;
  const worker = async () => {
    while (left-- > 0) await tenant.call(service, "increment");
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Opens an event stream, reads from it, and leaves without a word. */
export async function watchAndLeave(
  kernel: TestKernel,
  options: { count: number; atOnce: number },
): Promise<void> {
  let left = options.count;
  const { last_id } = (await kernel.request("GET", "/events?limit=1")).body;
  const worker = async () => {
    while (left-- > 0) {
      const leaving = new AbortController();
      const response = await kernel.fetch(`/events?since_id=${last_id - 3}`, {
        headers: { accept: "text/event-stream" },
        signal: leaving.signal,
      });
      await response.body!.getReader().read();
      leaving.abort();
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, worker));
}
