/** The same call over gRPC with TLS, a client certificate and a token, and with a token alone. */
import { readFile, rm } from "node:fs/promises";
import { systemClock } from "#base/clock.ts";
import { CertificateBook } from "#certs/book.ts";
import { certsFolder } from "#certs/folder.ts";
import { createClient, type ClientTls } from "#client/index.ts";
import { startKernel, type BenchKernel } from "../kernel.ts";
import type { LoopResult } from "../load/closed-loop.ts";
import { grpcLoad, type GrpcLoad } from "../load/grpc-load.ts";
import { temporaryDirectory } from "../processes.ts";
import { atLeast, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";

const CLIENTS = 64;
/** Of the rate without. */
const SHARE = 0.8;
const SERVICE = "adder";
const { source } = unseenSource("mtls");

const ADD = {
  service_id: SERVICE,
  name: "add",
  args: [{ numberValue: 20 }, { numberValue: 22 }],
};
const ADDED = { reply: { numberValue: 42 } };

/** One after the other and again, so that what else the machine does meets both. */
const ROUNDS = { full: 4, quick: 2 };

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const time = { warmMs: quick ? 400 : 1200, runMs: quick ? 800 : 2500, clients: CLIENTS };
  const dataDir = temporaryDirectory();
  try {
    const tls = await certificates(dataDir);
    const env = { SOLO_SECURITY_TLS: "true", SOLO_SECURITY_REQUIRE_MTLS: "true" };
    await using plain = await startKernel({ profileDir });
    await using secure = await startKernel({ dataDir, profileDir, env });
    await deploy(plain);
    await deploy(secure, tls);
    const rounds = quick ? ROUNDS.quick : ROUNDS.full;
    let [without, own] = [await load(plain, time), await load(secure, time, tls)];
    for (let round = 1; round < rounds; round++) {
      without = better(without, await load(plain, time));
      own = better(own, await load(secure, time, tls));
    }
    return [
      {
        name: `call over gRPC with mTLS and a token, ${CLIENTS} in flight`,
        ...own,
        targets: [atLeast("rate", Math.round(without.rate * SHARE))],
        peers: [{ name: "with a token alone", ...without }],
        note: `The best of ${rounds} rounds each, taken in turn.`,
      },
    ];
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

type Tls = NonNullable<GrpcLoad["tls"]>;

const better = (a: LoopResult, b: LoopResult): LoopResult => (b.rate > a.rate ? b : a);

function load(
  kernel: BenchKernel,
  time: Pick<GrpcLoad, "warmMs" | "runMs" | "clients">,
  tls?: Tls,
): Promise<LoopResult> {
  const call = { token: kernel.token, request: ADD, expected: ADDED, ...time };
  if (tls === undefined) return grpcLoad({ ...call, at: kernel.grpc });
  return grpcLoad({ ...call, at: { ...kernel.grpc, host: "localhost" }, tls });
}

async function deploy({ http, token }: BenchKernel, tls?: ClientTls): Promise<void> {
  const scheme = tls === undefined ? "http" : "https";
  const url = `${scheme}://${http.host}:${http.port}`;
  const client = createClient({ url, token, ...(tls !== undefined && { tls }) });
  await client.deploy({ service_id: SERVICE, code: source });
}

async function certificates(dataDir: string) {
  const folder = certsFolder(dataDir);
  const book = new CertificateBook({ folder, clock: systemClock });
  await book.init({ hosts: [], days: 1 });
  const operator = folder.client("operator");
  const [ca, cert, key] = await Promise.all(
    [folder.ca.cert, operator.cert, operator.key].map((path) => readFile(path, "utf8")),
  );
  return { ca: ca!, cert: cert!, key: key! };
}
