/**
 * Posting lists: which events of a block carry a key (a tenant, a type, a subject).
 * A key's list is the sorted 16-bit offsets of its events within the block; one row per
 * (block, key) costs a hundredth of what secondary indices cost each insert. Pure.
 */
import { EVENTS_PER_BLOCK } from "#storage/limits.ts";

/** A finished block, ready to be written. */
export interface BlockIndex {
  readonly block: number;
  readonly wallMin: number;
  readonly wallMax: number;
  /** In key order, so that writing touches each page of the table once. */
  readonly lists: readonly (readonly [key: number, list: Uint8Array])[];
}

/** Collects the keys of events as they are appended; every full block becomes a BlockIndex. */
export class BlockBuilder {
  #block = 0;
  #lists = new Map<number, number[]>();
  #wallMin = Infinity;
  #wallMax = -Infinity;
  readonly #full: BlockIndex[] = [];

  /** Finished blocks that are not written yet, oldest first. */
  get full(): readonly BlockIndex[] {
    return this.#full;
  }

  /** `position` counts from the start of the file and only grows. */
  add(position: number, wallMs: number, keys: readonly number[]): void {
    const block = Math.floor(position / EVENTS_PER_BLOCK);
    if (block !== this.#block) {
      this.#finish();
      this.#block = block;
    }
    const offset = position % EVENTS_PER_BLOCK;
    for (const key of keys) this.#push(key, offset);
    if (wallMs < this.#wallMin) this.#wallMin = wallMs;
    if (wallMs > this.#wallMax) this.#wallMax = wallMs;
    if (offset === EVENTS_PER_BLOCK - 1) this.#finish();
  }

  written(count: number): void {
    this.#full.splice(0, count);
  }

  #finish(): void {
    if (this.#lists.size === 0) return;
    const lists = [...this.#lists]
      .sort(([a], [b]) => a - b)
      .map(([key, offsets]) => [key, encodeOffsets(offsets)] as const);
    this.#full.push({ block: this.#block, wallMin: this.#wallMin, wallMax: this.#wallMax, lists });
    this.#lists = new Map();
    this.#wallMin = Infinity;
    this.#wallMax = -Infinity;
  }

  #push(key: number, offset: number): void {
    const list = this.#lists.get(key);
    if (list === undefined) this.#lists.set(key, [offset]);
    else list.push(offset);
  }
}

export function encodeOffsets(offsets: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(offsets.length * 2);
  const view = new DataView(bytes.buffer);
  for (const [i, offset] of offsets.entries()) view.setUint16(i * 2, offset, true);
  return bytes;
}

export function decodeOffsets(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength >> 1 }, (_, i) => view.getUint16(i * 2, true));
}

/** What is in both sorted lists. */
export function intersect(a: readonly number[], b: readonly number[]): number[] {
  const both: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = a[i] as number;
    const y = b[j] as number;
    if (x === y) both.push(x);
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return both;
}

/** What is in any of the lists, sorted. The lists share no offset: an event has one type. */
export const union = (lists: readonly (readonly number[])[]): number[] =>
  lists.length === 1 ? [...(lists[0] as number[])] : lists.flat().sort((a, b) => a - b);
