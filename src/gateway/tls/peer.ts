/**
 * Who is at the other end of a connection, as far as a certificate says.
 *
 * 1. A certificate that was shown and does not hold is never treated as none at all.
 */
import type { TLSSocket } from "node:tls";
import type { Socket } from "node:net";
import { SoloError } from "#base/errors.ts";
import { holderOf, type Holder } from "#certs/holder.ts";

/** Undefined when no certificate was shown; the reason when it is not accepted. */
export type Peer = Holder | SoloError | undefined;

const peers = new WeakMap<object, { readonly peer: Peer }>();

/** `socket` may stand for one, as an HTTP/2 session's does. */
export function peerOf(socket: Socket | TLSSocket): Peer {
  const known = peers.get(socket);
  if (known !== undefined) return known.peer;
  const peer = judge(socket as Partial<TLSSocket>);
  peers.set(socket, { peer });
  return peer;
}

function judge(socket: Partial<TLSSocket>): Peer {
  if (socket.encrypted !== true) return undefined;
  const certificate = socket.getPeerX509Certificate?.();
  if (certificate === undefined) return undefined;
  if (socket.authorized !== true) return notAccepted(whyNot(String(socket.authorizationError)));
  const { CN } = certificate.toLegacyObject().subject as { CN?: string | string[] };
  const { subjectAltName } = certificate;
  const commonNames = CN === undefined ? [] : [CN].flat();
  const holder = holderOf({ subjectAltName, commonNames });
  return typeof holder === "string" ? notAccepted(holder) : holder;
}

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet",
  CERT_REVOKED: "it was revoked",
  INVALID_PURPOSE: "it is not a client's",
};

const whyNot = (code: string): string =>
  REASONS[code] ?? `no accepted authority vouches for it (${code})`;

const notAccepted = (why: string): SoloError =>
  new SoloError("unauthenticated", `The client certificate is not accepted: ${why}.`, {
    hint: "Use one that `solo certs issue` or `solo certs renew` made, or none.",
  });

/** What the kernel is told: the tenant that the client is held to. */
export const heldTo = (peer: Peer): { readonly certificateTenant?: string } =>
  peer !== undefined && "kind" in peer && peer.kind === "tenant"
    ? { certificateTenant: peer.tenant }
    : {};
