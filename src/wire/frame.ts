/**
 * Frames on the socket between the kernel and a cell:
 * `u32 length | u8 kind | u32 slot | u32 id | payload`, little endian; length counts what
 * follows it.
 *
 * 1. A frame longer than MAX_FRAME_BYTES ends the connection: the other end is not ours.
 * 2. All frames of one turn of the event loop leave in one write.
 * 3. The payload is opaque here; who reads it decides what it may hold.
 * 4. What waits for the rest of its frame costs little more than its length, however small
 *    the pieces are in which it comes.
 */
import type { Duplex } from "node:stream";
import { Pieces } from "#base/pieces.ts";

export const HEADER_BYTES = 13;
export const MAX_FRAME_BYTES = 32 * 1024 * 1024;

export interface Frame {
  readonly kind: number;
  readonly slot: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** Turns a byte stream into frames; a `false` from `push` means the stream cannot be trusted. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  readonly #maxBytes: number;
  /** The beginning of a frame whose end has not come. */
  readonly #pending = new Pieces();
  #needed = 4;

  constructor(onFrame: (frame: Frame) => void, maxBytes = MAX_FRAME_BYTES) {
    this.#onFrame = onFrame;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): boolean {
    let data = chunk;
    if (this.#pending.bytes > 0) {
      this.#pending.add(chunk);
      // A large frame arrives in many chunks: join them once, when it is whole.
      if (this.#pending.bytes < this.#needed) return true;
      data = this.#pending.takeAll();
    }
    let offset = 0;
    this.#needed = 4;
    while (data.length - offset >= 4) {
      const length = data.readUInt32LE(offset);
      if (length < HEADER_BYTES - 4 || length > this.#maxBytes) return false;
      if (data.length - offset - 4 < length) {
        this.#needed = length + 4;
        break;
      }
      this.#onFrame({
        kind: data.readUInt8(offset + 4),
        slot: data.readUInt32LE(offset + 5),
        id: data.readUInt32LE(offset + 9),
        payload: data.subarray(offset + HEADER_BYTES, offset + 4 + length),
      });
      offset += 4 + length;
    }
    if (offset < data.length) this.#pending.add(data.subarray(offset));
    return true;
  }
}

/** Collects frames and writes them together at the end of the turn. */
export class FrameWriter {
  readonly #socket: Duplex;
  readonly #scratch: Buffer[] = [];
  #scheduled = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes accepted but not yet taken by the other end. */
  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  send(kind: number, slot: number, id: number, payload: string | Uint8Array = ""): void {
    const text = typeof payload === "string";
    const size = text ? Buffer.byteLength(payload) : payload.length;
    const inline = text || size <= 4096;
    const head = Buffer.allocUnsafe(inline ? HEADER_BYTES + size : HEADER_BYTES);
    head.writeUInt32LE(HEADER_BYTES - 4 + size, 0);
    head.writeUInt8(kind, 4);
    head.writeUInt32LE(slot, 5);
    head.writeUInt32LE(id, 9);
    if (text) head.write(payload, HEADER_BYTES);
    else if (inline) head.set(payload, HEADER_BYTES);
    this.#scratch.push(head);
    if (!inline) this.#scratch.push(payload as Buffer);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  /** Writes what is collected now, without waiting for the end of the turn. */
  flush(): void {
    this.#scheduled = false;
    if (this.#scratch.length === 0 || this.#socket.destroyed) {
      this.#scratch.length = 0;
      return;
    }
    const [first] = this.#scratch;
    this.#socket.write(this.#scratch.length === 1 ? first! : Buffer.concat(this.#scratch));
    this.#scratch.length = 0;
  }
}
