/**
 * Storage as the kernel's parts hold it: one object for the kernel's whole life, whatever
 * happens to the threads behind it.
 *
 * 1. While there is no storage every request is refused with `unavailable`, at once.
 */
import { SoloError } from "#base/errors.ts";
import type { MeasuredKv } from "#storage/kv.ts";
import type { Storage } from "#storage/storage.ts";

export class Store {
  #storage: Storage | undefined;

  attach(storage: Storage): void {
    this.#storage = storage;
  }

  detach(): void {
    this.#storage = undefined;
  }

  get current(): Storage {
    if (this.#storage !== undefined) return this.#storage;
    throw new SoloError("unavailable", "Storage is restarting.", {
      hint: "Try again shortly.",
      retryAfterMs: 200,
    });
  }

  get isAttached(): boolean {
    return this.#storage !== undefined;
  }

  readonly kv: MeasuredKv = {
    get: async (ns, key) => this.current.kv.get(ns, key),
    list: async (ns, options) => this.current.kv.list(ns, options),
    batch: async (ops, within) => this.current.kv.batch(ops, within),
    usage: async (ns) => this.current.kv.usage(ns),
  };
}
