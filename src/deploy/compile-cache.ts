/**
 * Compiled source by content hash, in memory and on disk: a restart of the kernel or of a
 * service compiles nothing again.
 *
 * 1. A miss or a damaged entry only costs a compilation.
 * 2. Memory and disk have a bound each; what is new takes the place of what is there.
 */
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { pause } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";
import type { CompileResult } from "#wire/compiler.ts";

const NAMESPACE = "compiled";
const MAX_MEMORY_CHARS = 16 * 1024 * 1024;
/** Larger results are compiled again rather than stored. */
const MAX_STORED_BYTES = 12 * 1024 * 1024;
/** On disk, of all results together. */
const WITHIN = { ns: NAMESPACE, bytes: 1024 * 1024 * 1024, keys: 10_000 };
/** A deploy that has just compiled it has something to write itself. */
const STORED_AFTER_MS = 250;
const EVICTED_AT_ONCE = 100;
const EVICTED_BYTES = 16 * 1024 * 1024;
/** More than enough for the largest result among the smallest. */
const MAX_EVICTIONS = 100;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export interface Compiled {
  readonly result: CompileResult;
  /** Resolves, when that is settled, with whether it can be loaded again. */
  readonly stored: Promise<boolean>;
}

export class CompileCache {
  readonly #kv: Kv;
  readonly #log: Logger;
  readonly #version: string;
  readonly #memory = new Map<string, { readonly compiled: Compiled; readonly chars: number }>();
  #chars = 0;
  /** On their way to disk. */
  readonly #storing = new Set<Promise<boolean>>();
  readonly #hurry = new AbortController();

  /** `version` changes whenever the compiler's output might. */
  constructor(options: { kv: Kv; log: Logger; version: string }) {
    this.#kv = options.kv;
    this.#log = options.log;
    this.#version = options.version;
  }

  /** A hit in memory, without waiting for anything. */
  recall(hash: string): Compiled | undefined {
    return this.#memory.get(hash)?.compiled;
  }

  async load(hash: string): Promise<Compiled | undefined> {
    const recalled = this.recall(hash);
    if (recalled !== undefined) return recalled;
    const entry = await this.#kv.get(NAMESPACE, this.#key(hash));
    if (entry === undefined) return undefined;
    const body = checked(entry.value);
    if (body === undefined) {
      this.#log.warn("compile cache entry damaged", { hash });
      return undefined;
    }
    const text = (await decompress(body)).toString();
    const compiled = {
      result: JSON.parse(text) as CompileResult,
      stored: Promise.resolve(true),
    };
    this.#remember(hash, compiled, text.length);
    return compiled;
  }

  /** Returns at once; the disk follows when whoever waits for the result has it. */
  save(hash: string, result: CompileResult): Compiled {
    const text = JSON.stringify(result);
    const stored = this.#store(hash, text);
    this.#storing.add(stored);
    void stored.then(() => this.#storing.delete(stored));
    const compiled = { result, stored };
    this.#remember(hash, compiled, text.length);
    return compiled;
  }

  /** Resolves when everything saved is on disk; from now on nothing waits for a better moment. */
  async close(): Promise<void> {
    this.#hurry.abort();
    await Promise.all(this.#storing);
  }

  async #store(hash: string, text: string): Promise<boolean> {
    try {
      await pause(STORED_AFTER_MS, this.#hurry.signal);
      const value = withChecksum(await compress(text));
      if (value.byteLength > MAX_STORED_BYTES) return false;
      await this.#put({ op: "put", ns: NAMESPACE, key: this.#key(hash), value });
      return true;
    } catch (error) {
      this.#log.warn("compile cache not written", { hash, error: String(error) });
      return false;
    }
  }

  async #put(op: KvOp): Promise<void> {
    for (let evictions = 0; ; evictions += 1) {
      try {
        await this.#kv.batch([op], WITHIN);
        return;
      } catch (error) {
        const isFull = error instanceof SoloError && error.code === "limit_exceeded";
        if (!isFull || evictions === MAX_EVICTIONS) throw error;
        await this.#evict(op.key);
      }
    }
  }

  /** Its neighbours in the order of keys go, mostly of the same tenant: as good as any at random. */
  async #evict(after: string): Promise<void> {
    const page = { limit: EVICTED_AT_ONCE, maxBytes: EVICTED_BYTES };
    const next = await this.#kv.list(NAMESPACE, { ...page, after });
    const gone = next.length > 0 ? next : await this.#kv.list(NAMESPACE, page);
    await this.#kv.batch(gone.map(({ key }) => ({ op: "delete", ns: NAMESPACE, key })));
  }

  #key(hash: string): string {
    return `${hash}:${this.#version}`;
  }

  #remember(hash: string, compiled: Compiled, chars: number): void {
    this.#chars += chars - (this.#memory.get(hash)?.chars ?? 0);
    this.#memory.set(hash, { compiled, chars });
    for (const [oldest, { chars: size }] of this.#memory) {
      if (this.#chars <= MAX_MEMORY_CHARS) break;
      this.#memory.delete(oldest);
      this.#chars -= size;
    }
  }
}
