/** A call without a gateway, from a process that embeds the kernel: kernel → isolate → kernel. */
import { nextMessage, startProcess } from "../processes.ts";
import type { LoopResult } from "../load/closed-loop.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";

const LIMIT_MS = 60_000;
const KINDS = { worker: "worker_thread, postMessage", process: "child process, IPC" } as const;

export async function run({ quick }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 300 : 1200, runMs: quick ? 600 : 2500 };
  const rows: Row[] = [];
  for (const clients of [1, 64]) {
    const peers: Row[] = [];
    for (const [kind, name] of Object.entries(KINDS))
      peers.push({ name, ...(await measure(kind, { ...time, clients })) });
    const own = await measure("kernel", { ...time, clients });
    const bounds = clients === 1 && { targets: [atMost("median", 0.12)] };
    rows.push({ name: `call in-process, ${clients} in flight`, ...own, ...bounds, peers });
  }
  return rows;
}

async function measure(
  kind: string,
  options: { clients: number; warmMs: number; runMs: number },
): Promise<LoopResult> {
  await using process = startProcess({
    module: "embedded.ts",
    args: [kind, JSON.stringify(options)],
  });
  return await nextMessage<LoopResult>(process, { ms: LIMIT_MS, what: `in-process ${kind}` });
}
