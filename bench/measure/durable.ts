/** Calls that change durable state: each answer leaves once the state is on disk. */
import { startKernel } from "../kernel.ts";
import { closedLoop } from "../load/closed-loop.ts";
import { RestClient } from "../load/rest-client.ts";
import { atLeast, atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";

const SERVICES = 64;
const TENANTS = 4;
/** Of each service: by then its handlers are compiled, and known to be quick (decision 0006). */
const WARM_CALLS = 120;
const CODE = `export default {
  init: () => ({ count: 0 }),
  calls: { add: (solo) => (solo.state.count += 1) },
};`;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 100 : 300, runMs: quick ? 800 : 2500 };
  await using kernel = await startKernel({ profileDir });
  const clients: RestClient[] = [];
  try {
    for (let at = 0; at < SERVICES; at += 1) {
      const tenant = `t${at % TENANTS}`;
      clients.push(await RestClient.open({ at: kernel.http, token: kernel.token, tenant }));
      await clients[at]!.deploy(`s${at}`, { code: CODE, persistence: "durable" });
    }
    const counts = clients.map(() => 0);
    const once = async (client: number) => {
      const count = (counts[client] = counts[client]! + 1);
      if ((await clients[client]!.call(`s${client}`, "add", [])) !== count) {
        throw new Error("a call was lost or handled twice");
      }
    };
    const warm = async (client: number) => {
      for (let call = 0; call < WARM_CALLS; call += 1) await once(client);
    };
    await Promise.all(clients.map((_, client) => warm(client)));
    const alone = await closedLoop({ clients: 1, ...time, once });
    const all = await closedLoop({ clients: SERVICES, ...time, once });
    return [
      {
        name: "durable call over REST, one at a time",
        ...alone,
        targets: [atMost("median", 2)],
        note: "the state is on disk before the answer leaves",
      },
      {
        name: `durable calls over REST, ${SERVICES} services, one connection each`,
        ...all,
        targets: [atLeast("rate", 5000)],
        note: `states of services that are stored at the same time go to disk together; each has answered ${WARM_CALLS} calls before`,
      },
    ];
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
}
