/** A service that ends itself, and its supervisor that starts another: over and over. */
import { expect } from "vitest";
import type { TestTenant } from "../support/kernel.ts";
import { until } from "../support/until.ts";

/** Each ends its instance, or the cell around it, in another way. */
const ENDS: readonly string[] = [
  "throw new Error('x');",
  "for (;;);",
  "const kept: any[] = []; for (;;) kept.push({ a: 1, b: [2] });",
  "const kept: any[] = []; for (;;) kept.push(new Uint8Array(2 ** 24).fill(1));",
  "for (;;) { const memory = new WebAssembly.Memory({ initial: 64 }); new Uint8Array(memory.buffer).fill(1); (globalThis as any).kept = [(globalThis as any).kept, memory]; }",
  `const join = Array.prototype.join; Array.prototype.join = function (this: any, by: any) { return by === "\\n" ? "C 1 {" : join.call(this, by); };`,
];

const source = (end: string, index: number) => `export default {
  init: () => ({ index: ${index} }),
  calls: { attack() { ${end} }, index: (solo: any) => solo.state.index },
};`;

/** Deploys, attacks, waits until the next instance answers, and kills: so many times. */
export async function attackCycles(
  tenant: TestTenant,
  options: { readonly from: number; readonly count: number },
): Promise<void> {
  for (let index = options.from; index < options.from + options.count; index += 1) {
    const service_id = `attacker-${index}`;
    await tenant.deploy({
      service_id,
      code: source(ENDS[index % ENDS.length]!, index),
      limits: { memory_mb: 32, call_timeout_ms: 200 },
    });
    const { status } = await tenant.ask(service_id, "attack");
    expect(status).toBeGreaterThanOrEqual(500);
    await until(async () => {
      if ((await tenant.status(service_id))["restarts"] === 0) {
        // On a slow machine its time may have been over before it began.
        await tenant.ask(service_id, "attack");
        return undefined;
      }
      const answer = await tenant.ask(service_id, "index");
      return answer.status === 200 && answer.body.reply === index;
    }, `${service_id} to answer again`);
    await tenant.kill(service_id, "?force=true");
  }
}
