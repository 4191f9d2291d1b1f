/** Durable key-value pairs: namespaced, versioned, with conditions and expiry. */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import {
  MAX_KEY_CHARS,
  MAX_LIST_LIMIT,
  MAX_NAMESPACE_CHARS,
  MAX_VALUE_BYTES,
} from "#storage/limits.ts";
import type { KvBounds, KvEntry, KvOp, KvRange, KvUsage } from "#storage/protocol.ts";
import type { ThreadClient } from "#storage/thread-client.ts";

export interface Kv {
  get(ns: string, key: string): Promise<Omit<KvEntry, "key"> | undefined>;
  /** In the order of the keys' Unicode code points; `maxBytes` may end a page early. */
  list(ns: string, options: Omit<KvRange, "ns">): Promise<KvEntry[]>;
  /**
   * All of it or nothing. Resolves when it is on the disk, with each put's new version
   * (0 for a delete). Conditions are checked against the state before the batch; one that
   * fails refuses the whole batch with `conflict`; one that would not stay `within` its
   * bounds is refused with `limit_exceeded`, whose field is `bytes` or `keys`.
   */
  batch(ops: readonly KvOp[], within?: KvBounds): Promise<number[]>;
}

export interface MeasuredKv extends Kv {
  /** What the namespace holds now. */
  usage(ns: string): Promise<KvUsage>;
}

export function threadKv(options: { thread: ThreadClient; clock: Clock }): MeasuredKv {
  const { thread, clock } = options;
  return {
    async get(ns, key) {
      checkName("ns", ns, MAX_NAMESPACE_CHARS);
      checkName("key", key, MAX_KEY_CHARS);
      const entry = await thread.request("kvGet", { ns, key, nowMs: clock.wallMs() });
      return entry && { value: entry.value, version: entry.version };
    },
    async list(ns, range) {
      checkName("ns", ns, MAX_NAMESPACE_CHARS);
      if (!Number.isInteger(range.limit) || range.limit < 1 || range.limit > MAX_LIST_LIMIT) {
        throw invalid("limit", `must be a whole number from 1 to ${MAX_LIST_LIMIT}`);
      }
      return await thread.request("kvList", { ...range, ns, nowMs: clock.wallMs() });
    },
    async batch(ops, within) {
      if (ops.length === 0) return [];
      for (const op of ops) checkOp(op);
      return await thread.request("kvBatch", {
        ops: ops.map(compact),
        nowMs: clock.wallMs(),
        within,
      });
    },
    async usage(ns) {
      checkName("ns", ns, MAX_NAMESPACE_CHARS);
      return await thread.request("kvUsage", { ns });
    },
  };
}

/** A view is sent with the whole buffer behind it, so a part of one is copied out first. */
const compact = (op: KvOp): KvOp =>
  op.op === "put" && op.value.byteLength < op.value.buffer.byteLength
    ? { ...op, value: new Uint8Array(op.value) }
    : op;

function checkOp(op: KvOp): void {
  checkName("ns", op.ns, MAX_NAMESPACE_CHARS);
  checkName("key", op.key, MAX_KEY_CHARS);
  if (op.op === "put" && op.value.byteLength > MAX_VALUE_BYTES) {
    throw new SoloError(
      "payload_too_large",
      `The value of ${op.key} has ${op.value.byteLength} bytes; at most ${MAX_VALUE_BYTES} are stored.`,
      {
        hint: "Split the value over several keys.",
      },
    );
  }
}

function checkName(field: "ns" | "key", text: string, maxChars: number): void {
  if (text === "") throw invalid(field, "must not be empty");
  if (text.length > maxChars) throw invalid(field, `must have at most ${maxChars} characters`);
  if (!text.isWellFormed() || text.includes("\0")) {
    throw invalid(field, "must be well-formed Unicode without NUL");
  }
}

const invalid = (field: string, message: string): SoloError =>
  new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
