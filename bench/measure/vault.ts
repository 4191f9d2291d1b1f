/**
 * Secrets over REST: a store is sealed and on disk before it is answered, a retrieval is in the
 * audit trail, on disk, before the value leaves. bench/vault.ts measures the vault alone.
 */
import { startKernel } from "../kernel.ts";
import { closedLoop } from "../load/closed-loop.ts";
import { httpLoad } from "../load/http-load.ts";
import { RestClient } from "../load/rest-client.ts";
import { atLeast, atMost, type Bound, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";

const MANY = 64;
const NAMES = 500;
const VALUE = "sk-live-0123456789abcdef0123456789abcdef";

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 300 : 1000, runMs: quick ? 700 : 2500 };
  await using kernel = await startKernel({ profileDir });
  const at = kernel.http;
  const { token } = kernel;
  const rows: Row[] = [];
  for (const clients of [1, MANY]) {
    const senders = await Promise.all(
      Array.from({ length: clients }, () => RestClient.open({ at, token })),
    );
    let stored = 0;
    const figures = await closedLoop({
      ...time,
      clients,
      async once(client) {
        const name = `name-${stored++ % NAMES}`;
        const { status, body } = await senders[client]!.post("/secrets", { name, value: VALUE });
        if (status !== 201) throw new Error(`store: ${status} ${JSON.stringify(body)}`);
      },
    });
    for (const sender of senders) sender[Symbol.dispose]();
    rows.push({
      name: `store a secret over REST, ${clients} at a time`,
      ...figures,
      ...bounds(clients),
    });
  }
  using client = await RestClient.open({ at, token });
  await client.post("/secrets", { name: "read", value: VALUE });
  for (const clients of [1, MANY]) {
    const headers = { authorization: `Bearer ${token}` };
    const figures = await httpLoad({
      at,
      request: { method: "GET", path: "/secrets/read", headers },
      expected: JSON.stringify({ tenant_id: "default", name: "read", version: 1, value: VALUE }),
      ...time,
      clients,
    });
    rows.push({
      name: `retrieve a secret over REST, ${clients} at a time`,
      ...figures,
      ...(clients === 1 && { targets: [atMost("median", 1)] }),
    });
  }
  return rows;
}

const bounds = (clients: number): { targets: readonly Bound[] } => ({
  targets: [clients === 1 ? atMost("median", 1) : atLeast("rate", 3000)],
});
