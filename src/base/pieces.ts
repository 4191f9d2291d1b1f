/**
 * Bytes that wait, in the order in which they came.
 *
 * 1. What waits costs at most about twice its length: pieces that are small are gathered, so
 *    that bytes which come one by one do not cost a buffer each.
 */
const SLAB_BYTES = 4096;

export class Pieces {
  #pieces: Buffer[] = [];
  /** The last piece is the beginning of this, as long as there is room in it. */
  #slab: Buffer | undefined;
  #used = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A piece of SLAB_BYTES or more is kept as it is; smaller ones are copied. */
  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    if (piece.length >= SLAB_BYTES) {
      this.#slab = undefined;
      this.#pieces.push(piece);
    } else if (this.#slab !== undefined && this.#used + piece.length <= SLAB_BYTES) {
      this.#slab.set(piece, this.#used);
      this.#used += piece.length;
      this.#pieces[this.#pieces.length - 1] = this.#slab.subarray(0, this.#used);
    } else if (this.#pieces.length === 0) {
      // Most pieces are taken before the next comes: no room is kept for it.
      this.#pieces.push(Buffer.from(piece));
    } else {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#slab.set(piece);
      this.#used = piece.length;
      this.#pieces.push(this.#slab.subarray(0, this.#used));
    }
  }

  /** The piece that came first, perhaps with some that came after it. */
  take(): Buffer | undefined {
    const first = this.#pieces.shift();
    if (first === undefined) return undefined;
    this.#bytes -= first.length;
    if (this.#pieces.length === 0) this.#slab = undefined;
    return first;
  }

  takeAll(): Buffer {
    const [first] = this.#pieces;
    const all = this.#pieces.length === 1 ? first! : Buffer.concat(this.#pieces, this.#bytes);
    this.clear();
    return all;
  }

  clear(): void {
    this.#pieces = [];
    this.#slab = undefined;
    this.#bytes = 0;
  }
}
