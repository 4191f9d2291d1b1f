/** A call of a running service through each of the ways in, and HTTP to its own fetch. */
import { startKernel, type BenchKernel } from "../kernel.ts";
import { closedLoop } from "../load/closed-loop.ts";
import { grpcCaller } from "../load/grpc-client.ts";
import { grpcLoad } from "../load/grpc-load.ts";
import { httpLoad } from "../load/http-load.ts";
import type { Endpoint, Request } from "../load/http-connection.ts";
import { RestClient } from "../load/rest-client.ts";
import { startPeer } from "../peers/start.ts";
import { atLeast, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";

const MANY = 64;
const SERVICE = "adder";

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 400 : 1200, runMs: quick ? 800 : 2500 };
  await using kernel = await startKernel({ profileDir });
  using client = await RestClient.open({ at: kernel.http, token: kernel.token });
  await client.deploy(SERVICE, { code: unseenSource(`adder-${process.pid}`).source });
  const rows: Row[] = [];
  for (const clients of [1, MANY]) {
    const peers = [await plainGrpc(leanGrpc, { ...time, clients })];
    const bounds = clients === MANY && { targets: [atLeast("rate", 15_000)] };
    const own = await leanGrpc({ at: kernel.grpc, token: kernel.token, ...time, clients });
    rows.push({ name: `call over gRPC, ${clients} in flight`, ...own, ...bounds, peers });
  }
  rows.push({
    name: `call over gRPC, stock grpc-js client, ${MANY} in flight`,
    ...(await stockGrpc({ at: kernel.grpc, token: kernel.token, ...time, clients: MANY })),
    peers: [await plainGrpc(stockGrpc, { ...time, clients: MANY })],
  });
  for (const clients of [1, MANY]) {
    const peers = await restPeers({ ...time, clients });
    const bounds = clients === MANY && { targets: [atLeast("rate", 10_000)] };
    const own = await httpLoad({ ...restCall(kernel), ...time, clients });
    rows.push({ name: `call over REST, ${connections(clients)}`, ...own, ...bounds, peers });
  }
  for (const clients of [1, MANY]) {
    const peers = [await plainHttp({ method: "GET", path: "/" }, "hello", { ...time, clients })];
    const bounds = clients === MANY && { targets: [atLeast("rate", 8000)] };
    const request = {
      method: "GET",
      path: `/s/default/${SERVICE}/`,
      headers: { authorization: `Bearer ${kernel.token}` },
    };
    const expected = `hello from adder-${process.pid}`;
    const own = await httpLoad({ at: kernel.http, request, expected, ...time, clients });
    rows.push({ name: `HTTP ingress to fetch, ${connections(clients)}`, ...own, ...bounds, peers });
  }
  return rows;
}

interface Timing {
  readonly clients: number;
  readonly warmMs: number;
  readonly runMs: number;
}

const connections = (clients: number) => `${clients} connection${clients === 1 ? "" : "s"}`;

const ADD: Request = {
  method: "POST",
  path: `/services/${SERVICE}/calls/add`,
  body: { args: [20, 22] },
};
const ADDED = '{"reply":42}';

const restCall = ({ http, token }: BenchKernel) => ({
  at: http,
  request: { ...ADD, headers: { authorization: `Bearer ${token}` } },
  expected: ADDED,
});

const GRPC_ADD = {
  service_id: SERVICE,
  name: "add",
  args: [{ numberValue: 20 }, { numberValue: 22 }],
};
const GRPC_ADDED = { reply: { numberValue: 42 } };

type GrpcTarget = Timing & { readonly at: Endpoint; readonly token: string };

const leanGrpc = (target: GrpcTarget) =>
  grpcLoad({ ...target, request: GRPC_ADD, expected: GRPC_ADDED });

async function stockGrpc({ at, token, ...time }: GrpcTarget) {
  using caller = grpcCaller({ at, token });
  return await closedLoop({
    ...time,
    async once() {
      const { reply } = await caller.call(GRPC_ADD);
      if (reply.numberValue !== GRPC_ADDED.reply.numberValue)
        throw new Error(`wrong answer: ${JSON.stringify(reply)}`);
    },
  });
}

async function plainGrpc(load: typeof leanGrpc, time: Timing) {
  await using peer = await startPeer("plain-grpc.ts");
  return {
    name: "plain grpc-js server",
    ...(await load({ at: peer.at, token: "none", ...time })),
  };
}

async function plainHttp(request: Request, expected: string, time: Timing) {
  await using peer = await startPeer("plain-http.ts");
  return {
    name: "plain Node http",
    ...(await httpLoad({ at: peer.at, request, expected, ...time })),
  };
}

async function restPeers(time: Timing) {
  const peers = [await plainHttp(ADD, ADDED, time)];
  for (const kind of ["worker", "process"] as const) {
    await using peer = await startPeer("per-service.ts", kind);
    using client = await RestClient.open({ at: peer.at });
    await client.deploy(SERVICE, { code: unseenSource("adder").source });
    const own = await httpLoad({ at: peer.at, request: ADD, expected: ADDED, ...time });
    peers.push({
      name: `plain http + ${kind === "worker" ? "worker_thread" : "child process"}`,
      ...own,
    });
  }
  return peers;
}
