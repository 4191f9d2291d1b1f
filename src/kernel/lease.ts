/**
 * A capability at work for longer than one moment: a stream, a body.
 *
 * 1. The signal fires in the turn in which the capability or one above it is revoked, and when
 *    it expires; `refusal` then says why.
 * 2. Disposing leaves no timer and no listener.
 */
import type { SoloError } from "#base/errors.ts";
import { type EndOptions, onEndOf } from "#kernel/capability-end.ts";

export interface LeaseOptions extends EndOptions {
  /** Fires when the client is gone; so does the lease's then. */
  readonly client: AbortSignal;
  /** Called when the capability has ended. */
  readonly why: () => SoloError;
}

export class Lease implements Disposable {
  readonly signal: AbortSignal;
  refusal: SoloError | undefined;
  readonly #options: LeaseOptions;
  readonly #controller = new AbortController();
  readonly #forget: () => void;
  #over = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { client } = options;
    this.signal = this.#controller.signal;
    client.addEventListener("abort", this.#gone, { once: true });
    if (client.aborted) this.#gone();
    this.#forget = onEndOf(options, () => this.#end());
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#options.client.removeEventListener("abort", this.#gone);
    this.#forget?.();
  }

  #end(): void {
    if (this.#over) return;
    this.refusal = this.#options.why();
    this.#controller.abort(this.refusal);
    this[Symbol.dispose]();
  }

  readonly #gone = (): void => {
    this.#controller.abort(this.#options.client.reason);
    this[Symbol.dispose]();
  };
}
