/**
 * One gRPC call again and again over a few HTTP/2 connections; every answer is compared, byte
 * for byte. Cheap, because it shares the machine with what it measures: a grpc-js client takes
 * a multiple of its processor time.
 */
import { once } from "node:events";
import { connect, type ClientHttp2Session, type SecureClientSessionOptions } from "node:http2";
import { closedLoop, type LoopResult } from "./closed-loop.ts";
import { soloService, type CallAnswer, type CallRequest } from "./grpc-client.ts";
import type { Endpoint } from "./http-connection.ts";

const MAX_CONNECTIONS = 4;

export interface GrpcLoad {
  readonly at: Endpoint;
  readonly token: string;
  /** TLS, with a client certificate; plain HTTP/2 unless given. */
  readonly tls?: SecureClientSessionOptions;
  readonly request: CallRequest;
  readonly expected: CallAnswer;
  readonly clients: number;
  readonly warmMs: number;
  readonly runMs: number;
}

export async function grpcLoad({
  at,
  token,
  tls,
  request,
  expected,
  ...time
}: GrpcLoad): Promise<LoopResult> {
  const { path, requestSerialize, responseSerialize } = soloService()["Call"]!;
  const call: PreparedCall = {
    headers: {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${token}`,
    },
    request: framed(requestSerialize(request)),
    expected: framed(responseSerialize(expected)),
  };
  const count = Math.min(time.clients, MAX_CONNECTIONS);
  const sessions = await Promise.all(Array.from({ length: count }, () => open(at, tls)));
  try {
    return await closedLoop({
      ...time,
      once: (client) => send(sessions[client % count]!, call),
    });
  } finally {
    for (const session of sessions) session.destroy();
  }
}

/** A call's bytes, so that a loop makes them once. */
interface PreparedCall {
  readonly headers: Readonly<Record<string, string>>;
  readonly request: Buffer;
  readonly expected: Buffer;
}

/** A gRPC message on the wire: not compressed, its length, its bytes. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

async function open(
  { host, port }: Endpoint,
  tls: SecureClientSessionOptions | undefined,
): Promise<ClientHttp2Session> {
  const session =
    tls === undefined ? connect(`http://${host}:${port}`) : connect(`https://${host}:${port}`, tls);
  await once(session, "connect");
  // A broken session ends its streams, and they say so.
  session.on("error", () => {});
  return session;
}

function send(
  session: ClientHttp2Session,
  { headers, request, expected }: PreparedCall,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    const received: Buffer[] = [];
    let status: unknown;
    stream.on("data", (bytes: Buffer) => received.push(bytes));
    stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
    stream.on("error", reject);
    stream.on("close", () => {
      const answer = received.length === 1 ? received[0]! : Buffer.concat(received);
      if (status === "0" && answer.equals(expected)) resolve();
      else reject(new Error(`wrong answer: grpc-status ${status}, ${answer.toString("hex")}`));
    });
    stream.end(request);
  });
}
