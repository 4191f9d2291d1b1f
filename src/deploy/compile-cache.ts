/**
 * Compiled source by content hash, in memory and on disk: a restart of the kernel or of a
 * service compiles nothing again.
 *
 * 1. A miss or a damaged entry only costs a compilation.
 */
import type { Logger } from "#base/log.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";
import type { CompileResult } from "#wire/compiler.ts";

const NAMESPACE = "compiled";
const MAX_MEMORY_CHARS = 64 * 1024 * 1024;
/** Larger results are compiled again rather than stored. */
const MAX_STORED_CHARS = 12 * 1024 * 1024;

export class CompileCache {
  readonly #kv: Kv;
  readonly #log: Logger;
  readonly #version: string;
  readonly #memory = new Map<string, { result: CompileResult; chars: number }>();
  #chars = 0;

  /** `version` changes whenever the compiler's output might. */
  constructor(options: { kv: Kv; log: Logger; version: string }) {
    this.#kv = options.kv;
    this.#log = options.log;
    this.#version = options.version;
  }

  /** A hit in memory, without waiting for anything. */
  recall(hash: string): CompileResult | undefined {
    return this.#memory.get(hash)?.result;
  }

  async load(hash: string): Promise<CompileResult | undefined> {
    const recalled = this.recall(hash);
    if (recalled !== undefined) return recalled;
    const entry = await this.#kv.get(NAMESPACE, this.#key(hash));
    if (entry === undefined) return undefined;
    const text = checked(entry.value)?.toString();
    if (text === undefined) {
      this.#log.warn("compile cache entry damaged", { hash });
      return undefined;
    }
    const result = JSON.parse(text) as CompileResult;
    this.#remember(hash, result, text.length);
    return result;
  }

  /** Returns at once; the disk follows. */
  save(hash: string, result: CompileResult): void {
    const text = JSON.stringify(result);
    this.#remember(hash, result, text.length);
    if (text.length > MAX_STORED_CHARS) return;
    const put = {
      op: "put",
      ns: NAMESPACE,
      key: this.#key(hash),
      value: withChecksum(Buffer.from(text)),
    } as const;
    this.#kv.batch([put]).catch((error: unknown) => {
      this.#log.warn("compile cache not written", { hash, error: String(error) });
    });
  }

  #key(hash: string): string {
    return `${this.#version}:${hash}`;
  }

  #remember(hash: string, result: CompileResult, chars: number): void {
    this.#chars += chars - (this.#memory.get(hash)?.chars ?? 0);
    this.#memory.set(hash, { result, chars });
    for (const [oldest, { chars: size }] of this.#memory) {
      if (this.#chars <= MAX_MEMORY_CHARS) break;
      this.#memory.delete(oldest);
      this.#chars -= size;
    }
  }
}
