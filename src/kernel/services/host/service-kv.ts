/**
 * `solo.kv`: durable pairs of a service's own. Values are JSON text, passed through unread.
 *
 * 1. What is answered fits a frame, whatever is stored.
 * 2. A batch is on disk as a whole, or nothing of it is.
 */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { MeasuredKv } from "#storage/kv.ts";
import type { KvEntry, KvOp, KvUsage } from "#storage/protocol.ts";

const MAX_KEY_CHARS = 512;
const MAX_LIST = 1000;
const DEFAULT_LIST = 100;
/** A page of a list ends with the entry by which its values pass this. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;
const MAX_BATCH = 500;
const MAX_BATCH_CHARS = 4 * 1024 * 1024;

const namespaceOf = (service: ServiceKey): string => `kv:${keyText(service)}`;

/** What the service may still keep. */
export interface KvBounds {
  readonly valueChars: number;
  /** Hears the length of each value, also of one that is refused. */
  readonly measured: (chars: number) => void;
  readonly within: KvUsage;
}

export interface Written {
  /** Of each write, 0 for a delete. */
  readonly versions: readonly number[];
  /** What it may have added. */
  readonly bytes: number;
}

export class ServiceKv {
  readonly #kv: MeasuredKv;

  constructor(kv: MeasuredKv) {
    this.#kv = kv;
  }

  async get(service: ServiceKey, key: unknown): Promise<string> {
    const entry = await this.#kv.get(namespaceOf(service), checkKey(key));
    return entry === undefined ? "" : textOf(entry);
  }

  /** The value with its version, which a conditional write names. */
  async entry(service: ServiceKey, key: unknown): Promise<string> {
    const entry = await this.#kv.get(namespaceOf(service), checkKey(key));
    return entry === undefined ? "" : `{"value":${textOf(entry)},"version":${entry.version}}`;
  }

  put(service: ServiceKey, key: unknown, value: unknown, bounds: KvBounds): Promise<Written> {
    return this.batch(service, [{ put: key, value }], bounds);
  }

  /** What it holds of the service. */
  usage(service: ServiceKey): Promise<KvUsage> {
    return this.#kv.usage(namespaceOf(service));
  }

  async delete(service: ServiceKey, key: unknown): Promise<string> {
    await this.#kv.batch([{ op: "delete", ns: namespaceOf(service), key: checkKey(key) }]);
    return "null";
  }

  /** All of the writes or none; `conflict` when one of their conditions does not hold. */
  async batch(service: ServiceKey, writes: unknown, bounds: KvBounds): Promise<Written> {
    const ns = namespaceOf(service);
    const ops = opsOf(ns, writes, bounds);
    const versions = await this.#kv.batch(ops, { ns, ...bounds.within }).catch(refused);
    return { versions, bytes: ops.reduce((sum, op) => sum + bytesOf(op), 0) };
  }

  async list(service: ServiceKey, options: unknown): Promise<string> {
    const { prefix, after, limit = DEFAULT_LIST } = (options ?? {}) as Record<string, unknown>;
    if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIST) {
      throw invalid("limit", `must be a whole number from 1 to ${MAX_LIST}`);
    }
    const entries = await this.#kv.list(namespaceOf(service), {
      limit,
      maxBytes: MAX_LIST_BYTES,
      ...(typeof prefix === "string" && { prefix }),
      ...(typeof after === "string" && { after }),
    });
    const texts = entries.map(
      (entry) =>
        `{"key":${JSON.stringify(entry.key)},"value":${textOf(entry)},"version":${entry.version}}`,
    );
    return `[${texts.join(",")}]`;
  }

  /** Everything the service has stored, gone. */
  async clear(service: ServiceKey): Promise<void> {
    const ns = namespaceOf(service);
    for (;;) {
      const page = await this.#kv.list(ns, { limit: MAX_LIST, maxBytes: MAX_LIST_BYTES });
      if (page.length === 0) return;
      await this.#kv.batch(page.map(({ key }) => ({ op: "delete", ns, key }) as const));
    }
  }
}

const textOf = ({ value }: Pick<KvEntry, "value">): string =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();

const bytesOf = (op: KvOp): number =>
  op.op === "put" ? op.value.byteLength + Buffer.byteLength(op.key) : 1;

function opsOf(ns: string, writes: unknown, bounds: KvBounds): KvOp[] {
  if (!Array.isArray(writes)) throw invalid("writes", "must be a list");
  if (writes.length > MAX_BATCH) {
    throw invalid("writes", `has ${writes.length} entries; at most ${MAX_BATCH} are taken`);
  }
  let chars = 0;
  return writes.map((write: unknown, at) => {
    const { put, delete: gone, value, ifVersion } = (write ?? {}) as Record<string, unknown>;
    if ((put === undefined) === (gone === undefined)) {
      throw invalid(`writes.${at}`, "must be { put: key, value } or { delete: key }");
    }
    const condition = conditionOf(at, ifVersion);
    if (put === undefined) return { op: "delete", ns, key: checkKey(gone), ...condition };
    const text = valueText(value, bounds);
    chars += text.length;
    if (chars > MAX_BATCH_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `The batch has more than ${MAX_BATCH_CHARS} characters of JSON.`,
        { hint: "Write it in several batches." },
      );
    }
    return { op: "put", ns, key: checkKey(put), value: Buffer.from(text), ...condition };
  });
}

function conditionOf(at: number, ifVersion: unknown): { ifVersion?: number } {
  if (ifVersion === undefined) return {};
  if (typeof ifVersion === "number" && Number.isSafeInteger(ifVersion) && ifVersion >= 0) {
    return { ifVersion };
  }
  throw invalid(`writes.${at}.ifVersion`, "must be a version, or 0 for a key that must not exist");
}

/** The storage names its namespaces, which are nobody's business here. */
function refused(error: unknown): never {
  if (!(error instanceof SoloError) || error.code !== "conflict") throw error;
  throw new SoloError("conflict", error.message.replace(/ in kv:\S+/, ""), {
    hint: "Read it again and repeat the change on what is there now.",
  });
}

function valueText(
  value: unknown,
  { valueChars: maxChars, measured }: Pick<KvBounds, "valueChars" | "measured">,
): string {
  const text = JSON.stringify(value ?? null);
  measured(text.length);
  if (text.length <= maxChars) return text;
  throw new SoloError(
    "payload_too_large",
    `The value has ${text.length} characters of JSON; limits.kv_value_bytes allows ${maxChars}.`,
    { hint: "Split the value over several keys." },
  );
}

function checkKey(key: unknown): string {
  if (typeof key === "string" && key !== "" && key.length <= MAX_KEY_CHARS) return key;
  throw invalid("key", `must be a text of 1 to ${MAX_KEY_CHARS} characters`);
}

const invalid = (field: string, message: string): SoloError =>
  new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
