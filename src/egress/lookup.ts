/**
 * Names to addresses, by the machine's own resolver.
 *
 * 1. At most MAX_LOOKUPS names are being looked up; who waits, waits at most LOOKUP_TIMEOUT_MS.
 * 2. Nothing is remembered: each hop of a request is looked up once, and judged by that answer.
 */
import { lookup } from "node:dns/promises";
import { within } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import { LOOKUP_TIMEOUT_MS, MAX_LOOKUPS, MAX_WAITING_LOOKUPS } from "#egress/limits.ts";

/** All addresses of a name, in the order in which they should be tried. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

export class Lookups {
  readonly #resolve: Resolve;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  async addresses(host: string, signal: AbortSignal): Promise<readonly string[]> {
    const abandoned = new AbortController();
    try {
      return await within(this.#queued(host, abandoned.signal), {
        ms: LOOKUP_TIMEOUT_MS,
        what: `the address of ${host}`,
        signal,
      });
    } catch (error) {
      if (error instanceof SoloError) throw error;
      throw new SoloError("egress_failed", `${host} has no address: ${codeOf(error)}.`, {
        hint: "Check the name's spelling.",
      });
    } finally {
      abandoned.abort();
    }
  }

  async #queued(host: string, abandoned: AbortSignal): Promise<readonly string[]> {
    if (this.#running >= MAX_LOOKUPS) {
      if (this.#waiting.length >= MAX_WAITING_LOOKUPS) {
        throw new SoloError("overloaded", "Too many names are being looked up.", {
          retryAfterMs: 1000,
        });
      }
      // Whoever ends hands its place on, so the count stays.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return abandoned.aborted ? [] : await this.#resolve(host);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "unknown";
