/**
 * What waits to be compiled, in one line for each tenant.
 *
 * 1. A line has a bound of its own, in requests and in size, so that one tenant's crowd is
 *    refused before it fills what is meant for all.
 * 2. Who was served goes behind the other tenants.
 */
import { SoloError } from "#base/errors.ts";

export const WAITING_LIMITS = {
  tenant: { requests: 100, chars: 64 * 1024 * 1024 },
  all: { requests: 1000, chars: 256 * 1024 * 1024 },
} as const;
const RETRY_AFTER_MS = 1000;

interface Sized {
  readonly chars: number;
}

interface Line<R extends Sized> {
  readonly requests: R[];
  chars: number;
}

export class Waiting<R extends Sized> {
  /** In the order in which they are to be served. */
  readonly #lines = new Map<string, Line<R>>();
  #requests = 0;
  #chars = 0;

  /** Who waits longest first. */
  get tenants(): string[] {
    return [...this.#lines.keys()];
  }

  get size(): number {
    return this.#requests;
  }

  /** Throws `overloaded`. */
  add(tenant: string, request: R): void {
    const { requests = [], chars = 0 } = this.#lines.get(tenant) ?? {};
    const { chars: more } = request;
    const { tenant: own, all } = WAITING_LIMITS;
    if (requests.length >= own.requests || exceeds(chars, more, own.chars)) {
      throw overloaded(`${requests.length} sources of this tenant wait to be compiled.`);
    }
    if (this.#requests >= all.requests || exceeds(this.#chars, more, all.chars)) {
      throw overloaded(`${this.#requests} sources wait to be compiled.`);
    }
    this.#put(tenant, request, "push");
  }

  /** The tenant's first, for one who serves it now. */
  take(tenant: string): R | undefined {
    const line = this.#lines.get(tenant);
    const request = line?.requests.shift();
    if (line === undefined || request === undefined) return undefined;
    line.chars -= request.chars;
    this.#requests -= 1;
    this.#chars -= request.chars;
    this.#lines.delete(tenant);
    if (line.requests.length > 0) this.#lines.set(tenant, line);
    return request;
  }

  /** What was taken and not served is the tenant's first again; it was let in before. */
  putBack(tenant: string, request: R): void {
    this.#put(tenant, request, "unshift");
  }

  takeAll(): R[] {
    const all = [...this.#lines.values()].flatMap(({ requests }) => requests);
    this.#lines.clear();
    this.#requests = this.#chars = 0;
    return all;
  }

  #put(tenant: string, request: R, how: "push" | "unshift"): void {
    const line = this.#lines.get(tenant) ?? { requests: [], chars: 0 };
    line.requests[how](request);
    line.chars += request.chars;
    this.#requests += 1;
    this.#chars += request.chars;
    this.#lines.set(tenant, line);
  }
}

/** One alone always has room: the size of a source has a limit of its own. */
const exceeds = (chars: number, more: number, limit: number): boolean =>
  chars > 0 && chars + more > limit;

const overloaded = (message: string): SoloError =>
  new SoloError("overloaded", message, {
    hint: "Deploy fewer at once, or try again.",
    retryAfterMs: RETRY_AFTER_MS,
  });
