/**
 * Finds shared memories in a WebAssembly module's bytes. A shared memory is a
 * SharedArrayBuffer by another door, and `memory.atomic.wait32` on it blocks a thread.
 * It calls no builtin: a guest may have overwritten every one of them.
 * Layout: https://webassembly.github.io/spec/core/binary/modules.html
 */

const HEADER_BYTES = 8;
const IMPORT_SECTION = 2;
const MEMORY_SECTION = 5;
const KIND = { func: 0, table: 1, memory: 2, global: 3, tag: 4 } as const;
const LIMITS = { hasMaximum: 1, shared: 2, customPageSize: 8 } as const;
/** Value types that are followed by a heap type. */
const REFERENCE = 0x64;
const NULLABLE_REFERENCE = 0x63;

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** By reading past the end: a guest can overwrite what `byteLength` answers. */
  get done(): boolean {
    return this.#bytes[this.at] === undefined;
  }

  byte(): number {
    const value = this.#bytes[this.at];
    if (value === undefined) throw new RangeError("truncated");
    this.at += 1;
    return value;
  }

  /** LEB128, signed or not: the value only matters where it is a length. */
  integer(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("integer too long");
  }

  valueType(): void {
    const type = this.byte();
    if (type === REFERENCE || type === NULLABLE_REFERENCE) this.integer();
  }

  /** Reads limits; true when they say shared. */
  limits(): boolean {
    const flags = this.byte();
    this.integer();
    if ((flags & LIMITS.hasMaximum) !== 0) this.integer();
    if ((flags & LIMITS.customPageSize) !== 0) this.integer();
    return (flags & LIMITS.shared) !== 0;
  }
}

function importIsShared(reader: Reader): boolean {
  for (let names = 0; names < 2; names++) reader.at = reader.integer() + reader.at;
  switch (reader.byte()) {
    case KIND.func:
      reader.integer();
      return false;
    case KIND.table:
      reader.valueType();
      return reader.limits();
    case KIND.memory:
      return reader.limits();
    case KIND.global:
      reader.valueType();
      reader.byte();
      return false;
    case KIND.tag:
      reader.byte();
      reader.integer();
      return false;
    default:
      throw new RangeError("unknown import kind");
  }
}

function sectionIsShared(id: number, reader: Reader): boolean {
  for (let left = reader.integer(); left > 0; left--) {
    if (id === IMPORT_SECTION ? importIsShared(reader) : reader.limits()) return true;
  }
  return false;
}

/**
 * True when the module declares or imports a shared memory, and also when its layout
 * cannot be followed: the engine's own compiler then says what is wrong, or nobody runs it.
 */
export function declaresSharedMemory(bytes: Uint8Array): boolean {
  try {
    const reader = new Reader(bytes, HEADER_BYTES);
    while (!reader.done) {
      const id = reader.byte();
      const size = reader.integer();
      const end = reader.at + size;
      if ((id === IMPORT_SECTION || id === MEMORY_SECTION) && sectionIsShared(id, reader))
        return true;
      reader.at = end;
    }
    return false;
  } catch {
    return true;
  }
}
