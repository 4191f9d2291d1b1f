/**
 * A capability at work for longer than one moment: a stream, a body.
 *
 * 1. The signal fires in the turn in which the capability or one above it is revoked, and when
 *    it expires; `refusal` then says why.
 * 2. Disposing leaves no timer and no listener.
 */
import type { Clock } from "#base/clock.ts";
import type { SoloError } from "#base/errors.ts";
import type { Capabilities } from "#capability/capabilities.ts";
import type { Capability } from "#capability/capability.ts";

/** Expiry is looked at again after so long, whatever happened to the clocks. */
const LOOK_MS = 30_000;

export interface LeaseOptions {
  readonly capabilities: Capabilities;
  readonly capability: Capability;
  readonly clock: Clock;
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
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { capabilities, capability, client } = options;
    this.signal = this.#controller.signal;
    client.addEventListener("abort", this.#gone, { once: true });
    if (client.aborted) this.#gone();
    this.#forget = capabilities.onEnd(capability, () => this.#end());
    if (!this.#over) this.#look();
  }

  [Symbol.dispose](): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#options.client.removeEventListener("abort", this.#gone);
    this.#forget?.();
  }

  #look(): void {
    const { capabilities, capability, clock } = this.#options;
    if (capabilities.isOver(capability)) return this.#end();
    const endsAtMs = capabilities.endsAtMs(capability);
    if (endsAtMs === Infinity) return;
    const left = Math.max(1, endsAtMs - clock.wallMs());
    this.#timer = setTimeout(() => this.#look(), Math.min(left, LOOK_MS));
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
