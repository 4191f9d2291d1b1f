/**
 * How many connections one client may hold, over every gateway together.
 *
 * 1. An address beyond its share is cut off before a byte is read; a token beyond its share is
 *    refused on every further connection, with a code.
 * 2. A connection counts until it closes, and at most `tokensPerConnection` tokens count for it:
 *    what is remembered is bounded by what is open.
 */
import { hash } from "node:crypto";
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { SoloError } from "#base/errors.ts";

export interface ConnectionLimits {
  readonly perAddress: number;
  readonly perToken: number;
  /** Different tokens that one connection may use. */
  readonly tokensPerConnection: number;
}

const CONNECTION_LIMITS: ConnectionLimits = Object.freeze({
  perAddress: 2048,
  perToken: 1024,
  tokensPerConnection: 64,
});

interface Used {
  /** The one before: nearly always the same again. */
  last: string;
  readonly digests: Set<string>;
}

export class ConnectionCaps {
  readonly #limits: ConnectionLimits;
  readonly #byAddress = new Map<string, number>();
  readonly #byToken = new Map<string, number>();
  readonly #used = new WeakMap<EventEmitter, Used>();

  constructor(limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...CONNECTION_LIMITS, ...limits };
  }

  /** Whether the new connection may stay; one that may not is closed already. */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket;
    const { perAddress } = this.#limits;
    if (remoteAddress === undefined || !take(this.#byAddress, remoteAddress, perAddress)) {
      socket.destroy();
      return false;
    }
    socket.once("close", () => release(this.#byAddress, remoteAddress));
    return true;
  }

  /** Why a request with this token is refused on this connection, if it is. */
  refusal(connection: EventEmitter, token: string | undefined): SoloError | undefined {
    if (token === undefined) return undefined;
    const used = this.#used.get(connection);
    if (used?.last === token) return undefined;
    const digest = hash("sha256", token, "base64url");
    if (used?.digests.has(digest) !== true) {
      const refused = this.#count(connection, digest, used);
      if (refused !== undefined) return refused;
    }
    this.#used.get(connection)!.last = token;
    return undefined;
  }

  #count(connection: EventEmitter, digest: string, used: Used | undefined): SoloError | undefined {
    const { perToken, tokensPerConnection } = this.#limits;
    if (used !== undefined && used.digests.size >= tokensPerConnection) {
      return tooMany(`One connection may use ${tokensPerConnection} tokens.`);
    }
    if (!take(this.#byToken, digest, perToken)) {
      return tooMany(`The token is in use on ${perToken} connections, as many as are allowed.`);
    }
    if (used !== undefined) {
      used.digests.add(digest);
      return undefined;
    }
    const digests = new Set([digest]);
    this.#used.set(connection, { last: "", digests });
    connection.once("close", () => {
      for (const each of digests) release(this.#byToken, each);
    });
    return undefined;
  }
}

function take(counts: Map<string, number>, key: string, limit: number): boolean {
  const count = counts.get(key) ?? 0;
  if (count >= limit) return false;
  counts.set(key, count + 1);
  return true;
}

function release(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 0;
  if (count > 1) counts.set(key, count - 1);
  else counts.delete(key);
}

const tooMany = (detail: string): SoloError =>
  new SoloError("limit_exceeded", detail, {
    hint: "Close connections that are not needed, or use fewer for more requests.",
    retryAfterMs: 1000,
  });
