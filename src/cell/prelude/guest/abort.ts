/**
 * AbortController and AbortSignal, after https://dom.spec.whatwg.org/#aborting-ongoing-activities.
 *
 * 1. A signal aborts once; its dependents abort with the same reason, before any of
 *    their events fire.
 * 2. A source holds its dependents weakly, so composing signals in a loop leaks nothing.
 */
import { Event, EventTarget, getEventAttributeValue, setEventAttributeValue } from "./events.ts";
import { host, platform } from "./platform.ts";

const WeakReference = platform["WeakRef"] as typeof WeakRef;

const KEY = Symbol("internal");

type Handler = ((this: Signal, event: Event) => unknown) | null;

const defaultReason = (): unknown =>
  new platform["DOMException"]("This operation was aborted", "AbortError");

let abortSignal: (signal: Signal, reason: unknown) => void;

class Signal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #dependent = false;
  #sources: Signal[] = [];
  readonly #dependents = new Set<WeakRef<Signal>>();

  constructor(key?: symbol) {
    if (key !== KEY) throw new TypeError("Illegal constructor");
    super();
  }

  static {
    abortSignal = (signal, reason) => {
      const now = Signal.#settle(signal, reason === undefined ? defaultReason() : reason);
      for (const each of now) each.dispatchEvent(new Event("abort"));
    };
  }

  /** Marks the signal and its dependents aborted; returns them in the order of their events. */
  static #settle(signal: Signal, reason: unknown): Signal[] {
    if (signal.#aborted) return [];
    const settled = [signal];
    signal.#aborted = true;
    signal.#reason = reason;
    for (const reference of signal.#dependents) {
      const dependent = reference.deref();
      if (dependent === undefined || dependent.#aborted) continue;
      dependent.#aborted = true;
      dependent.#reason = reason;
      dependent.#sources = [];
      settled.push(dependent);
    }
    signal.#dependents.clear();
    return settled;
  }

  static abort(reason?: unknown): Signal {
    const signal = new Signal(KEY);
    signal.#aborted = true;
    signal.#reason = reason === undefined ? defaultReason() : reason;
    return signal;
  }

  static timeout(milliseconds: number): Signal {
    const delayMs = Math.trunc(Number(milliseconds));
    if (!(delayMs >= 0 && delayMs <= Number.MAX_SAFE_INTEGER)) {
      throw new TypeError("AbortSignal.timeout: the delay must be between 0 and 2^53 - 1");
    }
    const signal = new Signal(KEY);
    host.setTimer(delayMs, false, () => {
      abortSignal(
        signal,
        new platform["DOMException"]("The operation was aborted due to timeout", "TimeoutError"),
      );
    });
    return signal;
  }

  static any(signals: Iterable<Signal>): Signal {
    const sources = [...signals];
    for (const source of sources) {
      if (!(typeof source === "object" && source !== null && #aborted in source)) {
        throw new TypeError("AbortSignal.any: every member must be an AbortSignal");
      }
    }
    const result = new Signal(KEY);
    const done = sources.find((source) => source.#aborted);
    if (done !== undefined) {
      result.#aborted = true;
      result.#reason = done.#reason;
      return result;
    }
    result.#dependent = true;
    const reference = new WeakReference(result);
    for (const source of sources) {
      for (const root of source.#dependent ? source.#sources : [source]) {
        result.#sources.push(root);
        root.#dependents.add(reference);
      }
    }
    return result;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  get onabort(): Handler {
    return getEventAttributeValue(this, "abort") as Handler;
  }

  set onabort(handler: Handler) {
    setEventAttributeValue(this, "abort", handler as never);
  }

  override get [Symbol.toStringTag](): string {
    return "AbortSignal";
  }
}

export class AbortController {
  readonly #signal = new Signal(KEY);

  get signal(): Signal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    abortSignal(this.#signal, reason);
  }

  get [Symbol.toStringTag](): string {
    return "AbortController";
  }
}

export { Signal as AbortSignal };
