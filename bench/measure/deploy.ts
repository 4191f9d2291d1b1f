/** From posting source nobody has compiled before to its first correct answer, over REST. */
import { startKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { startPeer } from "../peers/start.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";
import { summarize, type Summary } from "../stats.ts";

const WARM = 20;
/** Long enough for the kernel to do what it puts off, short enough for an agent at work. */
const PAUSE_MS = 50;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const count = quick ? 60 : 200;
  const targets = [atMost("median", 6), atMost("p99", 20)];
  const rows: Row[] = [];
  {
    await using kernel = await startKernel({ profileDir });
    using client = await RestClient.open({ at: kernel.http, token: kernel.token });
    await deploys(client, { count: WARM, prefix: "warm" });
    const paced = await deploys(client, { count, prefix: "paced", pauseMs: PAUSE_MS });
    rows.push({ name: `deploy → first answer, one every ${PAUSE_MS} ms`, ...paced.whole, targets });
    rows.push({ name: "  of it the deploy", ...paced.deploy });
    const eager = await deploys(client, { count, prefix: "eager" });
    const peers = [await peer("worker", count), await peer("process", quick ? 30 : 60)];
    rows.push({ name: "deploy → first answer, back to back", ...eager.whole, targets, peers });
  }
  return rows;
}

async function peer(kind: "worker" | "process", count: number) {
  await using server = await startPeer("per-service.ts", kind);
  using client = await RestClient.open({ at: server.at });
  await deploys(client, { count: 5, prefix: "warm" });
  const { whole } = await deploys(client, { count, prefix: "cold" });
  return {
    name: `a ${kind === "worker" ? "worker_thread" : "child process"} per service, plain http`,
    ...whole,
  };
}

interface Deploys {
  readonly count: number;
  readonly prefix: string;
  readonly pauseMs?: number;
}

async function deploys(
  client: RestClient,
  { count, prefix, pauseMs }: Deploys,
): Promise<{ whole: Summary; deploy: Summary }> {
  const whole: number[] = [];
  const deploy: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const service = `${prefix}-${i}`;
    // Made anew in every run: the kernel keeps compiled code across restarts.
    const { source, args, expected } = unseenSource(`${service}-${process.pid}`);
    const begun = performance.now();
    await client.deploy(service, { code: source });
    deploy.push(performance.now() - begun);
    const answer = await client.call(service, "quote", args);
    whole.push(performance.now() - begun);
    if (answer !== expected)
      throw new Error(`${service} answered ${String(answer)}, not ${expected}`);
    if (pauseMs !== undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { whole: summarize(whole), deploy: summarize(deploy) };
}
