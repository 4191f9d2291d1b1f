/**
 * What runs guests. Two drivers stand behind this interface: an isolate per guest in a
 * shared cell, and a context of its own in a dedicated cell.
 *
 * 1. Only text and byte arrays go in and out.
 * 2. A call that ends in a GuestFailure leaves the guest to `salvage` and `dispose`.
 */
import type { Module } from "#wire/messages.ts";

export type FailureKind = "exception" | "timeout" | "memory" | "disposed";

/** The guest's code did not give a result; `stack` is as V8 wrote it. */
export class GuestFailure extends Error {
  readonly kind: FailureKind;
  readonly errorName: string;
  readonly guestStack: string;
  constructor(kind: FailureKind, name: string, message: string, stack: string) {
    super(message);
    this.kind = kind;
    this.errorName = name;
    this.guestStack = stack;
  }
}

export interface RunOptions {
  readonly timeoutMs: number;
}

export interface Guest {
  /** Compiles and evaluates the modules; the guest then starts by itself. */
  load(modules: readonly Module[], entry: string, options: RunOptions): Promise<void>;
  /** An HTTP request is about to come: the parts of the platform that waited for it are needed. */
  expectRequests(): void;
  turn(inbox: string, acknowledged: boolean, options: RunOptions): Promise<string>;
  /** The same on this thread: for guests that are known to be quick. */
  turnNow(inbox: string, acknowledged: boolean, options: RunOptions): string;
  /** What continuations said after the last turn; on this thread, as no handler runs in it. */
  drain(acknowledged: boolean, options: RunOptions): string;
  salvage(): Promise<string>;
  give(chunks: readonly Uint8Array[]): void;
  take(): Uint8Array[];
  ranMs(): number;
  heapBytes(): Promise<number>;
  /** Ends the guest, also in the middle of a run. */
  dispose(): void;
}

export interface Engine {
  /** A guest for these modules, which it has yet to load. */
  create(options: {
    readonly memoryMb: number;
    readonly modules: readonly Module[];
  }): Promise<Guest>;
  /** Makes one guest ready ahead of need; false when there are enough. */
  refill(): Promise<boolean>;
}
