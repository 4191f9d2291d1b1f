/** Who asks, from a request's headers and its connection. */
import type { IncomingMessage } from "node:http";
import type { Credentials } from "#api/kernel-port.ts";
import { heldTo, peerOf } from "#gateway/tls/peer.ts";

export const TENANT_HEADER = "x-solo-tenant";
/** Carries Solo's token to a service that uses Authorization itself. */
export const TOKEN_HEADER = "x-solo-token";

const BEARER = /^Bearer +(\S+) *$/i;

export const bearerOf = (authorization: string | undefined): string | undefined =>
  authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];

export const headerText = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

export function credentialsOf({
  headers,
  socket,
}: Pick<IncomingMessage, "headers" | "socket">): Credentials {
  const token = bearerOf(headers.authorization);
  const tenant = headerText(headers[TENANT_HEADER]);
  return {
    ...(token !== undefined && { token }),
    ...(tenant !== undefined && { tenant }),
    ...heldTo(peerOf(socket)),
  };
}
