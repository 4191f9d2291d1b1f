/** Updates of a running service under load: how long messages wait, and what becomes of them. */
import { startKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { summarize } from "../stats.ts";

const CALLERS = 4;

/** Notices calls of one caller that come in another order than they were sent. */
const source = (version: number) => `export default { version: "${version}",
  init: () => ({ last: {}, reordered: 0 }),
  codeChange: (old) => ({ ...old }),
  calls: {
    take(solo, caller, n) {
      if (n !== (solo.state.last[caller] ?? 0) + 1) solo.state.reordered += 1;
      return (solo.state.last[caller] = n);
    },
    seen: (solo) => solo.state,
  },
};`;

interface Counted {
  sent: number;
  failed: number;
}

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  await using kernel = await startKernel({ profileDir });
  const open = () => RestClient.open({ at: kernel.http, token: kernel.token, tenant: "swap" });
  using updater = await open();
  await updater.deploy("s", { code: source(0) });
  const over = new AbortController();
  const counted: Counted = { sent: 0, failed: 0 };
  const callers = Array.from({ length: CALLERS }, (_, at) =>
    call(open, `c${at}`, counted, over.signal),
  );
  const pauses: number[] = [];
  const whole: number[] = [];
  for (let version = 1; version <= (quick ? 100 : 500); version += 1) {
    const begun = performance.now();
    const { status, body } = await updater.put("/services/s", { code: source(version) });
    if (status !== 200) throw new Error(`update ${version}: ${status} ${JSON.stringify(body)}`);
    whole.push(performance.now() - begun);
    pauses.push(body["pause_ms"] as number);
  }
  over.abort();
  await Promise.all(callers);
  const seen = (await updater.call("s", "seen", [])) as {
    last: Record<string, number>;
    reordered: number;
  };
  const arrived = Object.values(seen.last).reduce((total, n) => total + n, 0);
  const note = `${pauses.length} updates while ${CALLERS} connections call: ${counted.sent} calls, ${counted.failed} failed, ${counted.sent - arrived} lost, ${seen.reordered} reordered`;
  return [
    {
      name: "update of a busy service: messages wait",
      ...summarize(pauses),
      targets: [atMost("median", 5), atMost("p99", 20)],
      note,
    },
    { name: "the whole update, source to answer", ...summarize(whole) },
  ];
}

async function call(
  open: () => Promise<RestClient>,
  caller: string,
  counted: Counted,
  signal: AbortSignal,
): Promise<void> {
  using client = await open();
  for (let n = 1; !signal.aborted; n += 1) {
    counted.sent += 1;
    const { status, body } = await client.post("/services/s/calls/take", { args: [caller, n] });
    if (status !== 200 || body["reply"] !== n) counted.failed += 1;
  }
}
