/** A revision that crashes under a call: how long until the old one has answered again. */
import { startKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { summarize } from "../stats.ts";

const TENANT = "rollback";
const SERVICE = "/services/s";
/** After an update, before its revision is called: long enough for the old one to stand by. */
const SETTLE_MS = 200;

const source = (version: number, isBad: boolean) => `export default { version: "${version}",
  init: () => ({ n: 0 }),
  calls: { add(solo) { ${isBad ? "throw new Error('bad');" : ""} return (solo.state.n += 1); } },
};`;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  await using kernel = await startKernel({ profileDir });
  using client = await RestClient.open({ at: kernel.http, token: kernel.token, tenant: TENANT });
  await client.deploy("s", { code: source(0, false), persistence: "durable" });
  const answered: number[] = [];
  for (let version = 1; version <= (quick ? 40 : 300); version += 1) {
    const before = await add(client);
    const { status } = await client.put(SERVICE, { code: source(version, true) });
    if (status !== 200) throw new Error(`update ${version}: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if ((await add(client)) !== undefined) throw new Error("the bad revision answered");
    const begun = performance.now();
    let n = await add(client);
    while (n === undefined) n = await add(client);
    answered.push(performance.now() - begun);
    if (n !== before! + 1) throw new Error(`the state is another one: ${n}, not ${before! + 1}`);
  }
  return [
    {
      name: "rollback of a revision that crashes: until the old one has answered",
      ...summarize(answered),
      targets: [atMost("p99", 50)],
      note: "from the answer to the call that crashed it, durable state restored, calls that fail meanwhile included",
    },
  ];
}

/** Undefined when it failed. */
async function add(client: RestClient): Promise<number | undefined> {
  const { status, body } = await client.post(`${SERVICE}/calls/add`, { args: [] });
  return status === 200 ? (body["reply"] as number) : undefined;
}
