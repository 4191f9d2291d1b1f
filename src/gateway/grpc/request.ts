/** What the kernel is told about a gRPC request: who asks, how long, and whether still. */
import type { IncomingHttpHeaders } from "node:http2";
import { SoloError } from "#base/errors.ts";
import type { Credentials, RequestContext } from "#api/kernel-port.ts";
import type { GrpcCall } from "#gateway/grpc/call.ts";
import { heldTo } from "#gateway/tls/peer.ts";

const BEARER = /^bearer +(\S+)$/i;
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** The longest that a timer waits: some 25 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The grpc-timeout header in milliseconds, if there is one. */
export function timeoutOf(headers: IncomingHttpHeaders): number | undefined {
  const header = headers["grpc-timeout"];
  if (header === undefined) return undefined;
  const [, amount, unit] = TIMEOUT.exec(String(header)) ?? [];
  if (amount === undefined || unit === undefined)
    throw new SoloError("invalid_argument", "The grpc-timeout is malformed.", {
      hint: "Send up to eight digits and a unit: H, M, S, m, u or n.",
    });
  return Math.min(Number(amount) * UNIT_MS[unit]!, MAX_TIMEOUT_MS);
}

/** The bearer token, if there is one that reads as such. */
export const tokenOf = ({ authorization }: IncomingHttpHeaders): string | undefined =>
  authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];

export function credentialsOf(headers: IncomingHttpHeaders): Credentials {
  const { authorization, "x-solo-tenant": tenant } = headers;
  const token = tokenOf(headers);
  if (authorization !== undefined && token === undefined)
    throw new SoloError("unauthenticated", "The metadata authorization holds no bearer token.", {
      hint: "Send `authorization: Bearer <token>`.",
    });
  return {
    ...(token !== undefined && { token }),
    ...(tenant !== undefined && { tenant: String(tenant) }),
  };
}

export function contextOf({ headers, peer, signal, timeoutMs }: GrpcCall): RequestContext {
  const credentials = { ...credentialsOf(headers), ...heldTo(peer) };
  return timeoutMs === undefined ? { credentials, signal } : { credentials, signal, timeoutMs };
}
