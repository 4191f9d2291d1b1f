/**
 * What crosses to the storage threads and back: closed unions, no SQL.
 * Both ends are the kernel's own code, so shapes are typed, not parsed.
 */
import type { ErrorBody } from "#base/errors.ts";
import type { StoredEvent } from "#storage/chain.ts";

/** One value of an event or log line in a flat batch. */
export type Field = string | number | null;

/** Events of one turn of the loop, flat: EVENT_STRIDE fields each, ids dense from `firstId`. */
export interface EventBatch {
  readonly firstId: number;
  readonly bootId: string;
  /** timestamp, wallMs, tenant, type, subject, payload, causationId; and again. */
  readonly fields: readonly Field[];
}
export const EVENT_STRIDE = 7;

export interface EventFilter {
  /** `null`: only events of the system. */
  readonly tenant?: string | null | undefined;
  readonly subject?: string | undefined;
  readonly types?: readonly string[] | undefined;
  /** After this id. */
  readonly sinceId?: number | undefined;
  /** Up to this id, included. */
  readonly untilId?: number | undefined;
  /** Not before this wall time. */
  readonly fromWallMs?: number | undefined;
  /** Before this wall time. */
  readonly toWallMs?: number | undefined;
  readonly limit: number;
  readonly order?: "asc" | "desc" | undefined;
}

export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** False when the page ended at its limit or size and there may be more. */
  readonly complete: boolean;
}

export interface ChainHead {
  readonly id: number;
  readonly hash: string;
}

/** Where the log begins and ends, as the state database remembers it. */
export interface LogBounds {
  /** The first event that must be there; those before it were pruned. */
  readonly firstId: number;
  /** The newest head that the state database recorded. */
  readonly anchor: ChainHead;
  /** The newest committed event. */
  readonly headId: number;
}

export interface VerifyStep {
  readonly nextId: number;
  /** The hash before `nextId`; absent at the start of a check from the middle. */
  readonly previous?: string | undefined;
  readonly bounds: LogBounds;
}

export type VerifyStepResult =
  | {
      readonly done: false;
      readonly nextId: number;
      readonly previous: string;
      readonly checked: number;
    }
  | { readonly done: true; readonly checked: number }
  | {
      readonly done: true;
      readonly checked: number;
      readonly firstBroken: number;
      readonly why: string;
    };

export type KvOp =
  | {
      readonly op: "put";
      readonly ns: string;
      readonly key: string;
      readonly value: Uint8Array;
      /** Only if this is the current version; 0: only if there is none. */
      readonly ifVersion?: number | undefined;
      readonly expiresAtMs?: number | undefined;
    }
  | {
      readonly op: "delete";
      readonly ns: string;
      readonly key: string;
      readonly ifVersion?: number | undefined;
    };

/** What a namespace holds: of its keys and values together, and how many keys. */
export interface KvUsage {
  readonly bytes: number;
  readonly keys: number;
}

/** A batch is refused if the namespace would then hold more, and more than before. */
export interface KvBounds extends KvUsage {
  readonly ns: string;
}

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: number;
}

export interface KvRange {
  readonly ns: string;
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
  /** The page ends with the entry by which its values pass this. */
  readonly maxBytes?: number | undefined;
}

/** Log lines, flat: LOG_STRIDE fields each. */
export interface LogBatch {
  /** seq, tenant, service, atMs, level, instance, text; and again. */
  readonly fields: readonly Field[];
}
export const LOG_STRIDE = 7;

export interface StoredLine {
  readonly seq: number;
  readonly atMs: number;
  readonly level: string;
  readonly instance: string;
  readonly text: string;
}

export interface LogRange {
  readonly tenant: string;
  readonly service: string;
  /** Lines after this sequence number. */
  readonly since?: number | undefined;
  readonly limit: number;
  readonly order?: "asc" | "desc" | undefined;
}

export interface LogTrim {
  readonly tenant: string;
  readonly service: string;
  /** With no more than this nothing is dropped; else the oldest go until `keepChars` are left. */
  readonly maxChars: number;
  readonly keepChars: number;
}

/** Characters of the service's lines, before and now. */
export interface LogTrimmed {
  readonly hadChars: number;
  readonly keptChars: number;
}

export interface PruneResult {
  /** The first event that is left. */
  readonly firstId: number;
  /** The files that the pruned events were archived in. */
  readonly archived: readonly string[];
}

/** Requests and the type of their answers, for both threads. */
export interface Requests {
  append: { ask: EventBatch; answer: undefined };
  bounds: { ask: undefined; answer: LogBounds };
  prune: { ask: { beforeId: number }; answer: PruneResult };
  kvBatch: {
    ask: { ops: readonly KvOp[]; nowMs: number; within?: KvBounds | undefined };
    answer: number[];
  };
  kvGet: { ask: { ns: string; key: string; nowMs: number }; answer: KvEntry | undefined };
  kvUsage: { ask: { ns: string }; answer: KvUsage };
  kvList: { ask: KvRange & { nowMs: number }; answer: KvEntry[] };
  logAppend: { ask: LogBatch; answer: undefined };
  logRead: { ask: LogRange; answer: StoredLine[] };
  logTrim: { ask: LogTrim; answer: LogTrimmed };
  logRemove: { ask: { tenant: string; service: string }; answer: undefined };
  close: { ask: undefined; answer: undefined };
  read: { ask: EventFilter; answer: EventPage };
  verify: { ask: VerifyStep; answer: VerifyStepResult };
}
export type Op = keyof Requests;

export type Request<O extends Op = Op> = {
  [P in O]: { readonly id: number; readonly op: P; readonly ask: Requests[P]["ask"] };
}[O];

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: ErrorBody };

/** The first message of a thread. */
export type Hello =
  | { readonly ready: { readonly headId: number; readonly lastLogSeq: number } }
  | { readonly failed: ErrorBody };
export type FromThread = Hello | readonly Reply[];
