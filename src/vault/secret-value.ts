/** A secret's value on its way to whoever may have it: it does not print, and it can be wiped. */
import { inspect } from "node:util";

const HIDDEN = "[secret]";

export class SecretValue implements Disposable {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The bytes themselves; gone once this is disposed of. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** As UTF-8. A copy that nothing can wipe: ask for it late and keep it briefly. */
  text(): string {
    return this.#bytes.toString();
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
  }
}
