/** What reading and writing protobuf's wire format have in common. */
import type { BinaryReader } from "@bufbuild/protobuf/wire";

/** Something is wrong with a field; each message around it puts its field's name in front. */
export class WireError extends Error {
  path: string | undefined;

  within(field: string): this {
    this.path = this.path === undefined ? field : `${field}.${this.path}`;
    return this;
  }
}

/** A position in the reader's bytes that must not be passed. */
export type Limit = number;

/** Reads a nested message's length; its end, which lies within the message around it. */
export function endOfNested(reader: BinaryReader, outer: Limit): Limit {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > outer) throw new RangeError("a nested message runs past the end of its parent");
  return end;
}

/** A message's last field must end where the message ends. */
export function mustBeAt(reader: BinaryReader, end: Limit): void {
  if (reader.pos !== end) throw new RangeError("a field runs past the end of its message");
}
