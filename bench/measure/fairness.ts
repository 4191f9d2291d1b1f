/** What one tenant's loops cost another tenant's callers: latency of a call alone, and during. */
import { startKernel } from "../kernel.ts";
import { closedLoop, type LoopResult } from "../load/closed-loop.ts";
import { RestClient } from "../load/rest-client.ts";
import { type Row } from "../report.ts";
import type { Scale } from "../scale.ts";

const LOOPERS = 50;
/** The most that a neighbour's 99th percentile may grow by. */
const TARGET = 3;
const CLIENTS = 2;
const LOOP = `export default { casts: { loop() { for (;;); } } };`;
const CALM = `export default { calls: { add: (_, a, b) => a + b } };`;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 500 : 2000, runMs: quick ? 2000 : 8000 };
  await using kernel = await startKernel({ profileDir });
  const open = (tenant: string) =>
    RestClient.open({ at: kernel.http, token: kernel.token, tenant });
  using hostile = await open("hostile");
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => open("calm")));
  try {
    await clients[0]!.deploy("calm", { code: CALM });
    const measure = (): Promise<LoopResult> =>
      closedLoop({
        clients: CLIENTS,
        ...time,
        once: async (client) => {
          const sum = await clients[client]!.call("calm", "add", [20, 22]);
          if (sum !== 42) throw new Error(`20 + 22 is not ${String(sum)}.`);
        },
      });
    const alone = await measure();
    const loopers = Array.from({ length: LOOPERS }, (_, n) => `loop-${n}`);
    for (const service of loopers) await hostile.deploy(service, { code: LOOP });
    for (const service of loopers) {
      await hostile.post(`/services/${service}/casts/loop`, { args: [] });
    }
    const during = await measure();
    const ratio = (figure: "median" | "p99") => (during[figure] / alone[figure]).toFixed(2);
    return [
      {
        name: `call of one tenant, ${LOOPERS} services of another loop`,
        median: during.median,
        p99: during.p99,
        rate: during.rate,
        targets: [{ figure: "p99", atMost: alone.p99 * TARGET }],
        peers: [
          { name: "the same, alone", median: alone.median, p99: alone.p99, rate: alone.rate },
        ],
        note: `median × ${ratio("median")}, p99 × ${ratio("p99")}; ${during.samples} samples`,
      },
    ];
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}
