/**
 * Blob and File, after https://w3c.github.io/FileAPI/.
 *
 * 1. A blob's bytes never change: parts are copied in, slices share them, readers get copies.
 */
import { platform } from "./platform.ts";

type Part = ArrayBuffer | ArrayBufferView | Blob | string;

interface BlobOptions {
  readonly type?: string;
  readonly endings?: string;
}

interface FileOptions extends BlobOptions {
  readonly lastModified?: number;
}

/** Size of the pieces that `stream()` hands out. */
const STREAM_CHUNK_BYTES = 64 * 1024;

const toType = (type: string): string => (/[^\x20-\x7e]/.test(type) ? "" : type.toLowerCase());

function toSequence(parts: unknown): Iterable<unknown> {
  const iterable = typeof parts === "object" ? parts !== null : typeof parts === "function";
  if (!iterable || typeof (parts as Iterable<unknown>)[Symbol.iterator] !== "function") {
    throw new TypeError("Failed to construct 'Blob': the parts must be iterable");
  }
  return parts as Iterable<unknown>;
}

function toDictionary<T>(options: unknown): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options !== "object" && typeof options !== "function") {
    throw new TypeError("Failed to construct 'Blob': the options must be an object");
  }
  return options;
}

function toEndings(endings: unknown): "transparent" | "native" {
  const text = endings === undefined ? "transparent" : String(endings);
  if (text === "transparent" || text === "native") return text;
  throw new TypeError(`Failed to construct 'Blob': '${text}' is not a valid value for endings`);
}

function toBytes(part: unknown, endings: string): Uint8Array<ArrayBuffer> {
  if (part instanceof ArrayBuffer) return new Uint8Array(part.slice(0));
  if (ArrayBuffer.isView(part)) {
    return new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice();
  }
  const text = String(part);
  const encoder = new platform["TextEncoder"]();
  return encoder.encode(endings === "native" ? text.replace(/\r\n?|\n/g, "\n") : text);
}

function toOffset(value: unknown, size: number, fallback: number): number {
  if (value === undefined) return fallback;
  const offset = Math.trunc(Number(value)) || 0;
  return offset < 0 ? Math.max(size + offset, 0) : Math.min(offset, size);
}

class SoloBlob {
  #segments: readonly Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  #type = "";

  constructor(parts: Iterable<Part> = [], options?: BlobOptions) {
    const sequence = [...toSequence(parts)];
    const dictionary = toDictionary<BlobOptions>(options);
    const endings = toEndings(dictionary.endings);
    this.#type = dictionary.type === undefined ? "" : toType(String(dictionary.type));
    const segments = sequence.flatMap((part) =>
      typeof part === "object" && part !== null && #segments in part
        ? part.#segments
        : [toBytes(part, endings)],
    );
    this.#setSegments(segments);
  }

  #setSegments(segments: readonly Uint8Array<ArrayBuffer>[]): void {
    this.#segments = segments.filter((segment) => segment.byteLength > 0);
    this.#size = this.#segments.reduce((sum, segment) => sum + segment.byteLength, 0);
  }

  #read(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#size);
    let offset = 0;
    for (const segment of this.#segments) {
      bytes.set(segment, offset);
      offset += segment.byteLength;
    }
    return bytes;
  }

  get size(): number {
    return this.#size;
  }

  get type(): string {
    return this.#type;
  }

  slice(start?: number, end?: number, contentType?: string): SoloBlob {
    const from = toOffset(start, this.#size, 0);
    const to = Math.max(toOffset(end, this.#size, this.#size), from);
    const segments: Uint8Array<ArrayBuffer>[] = [];
    let offset = 0;
    for (const segment of this.#segments) {
      segments.push(segment.subarray(Math.max(from - offset, 0), Math.max(to - offset, 0)));
      offset += segment.byteLength;
    }
    const blob = new SoloBlob();
    blob.#setSegments(segments);
    blob.#type = contentType === undefined ? "" : toType(String(contentType));
    return blob;
  }

  stream(): ReadableStream<Uint8Array> {
    const segments = this.#segments;
    let index = 0;
    let offset = 0;
    return new platform["ReadableStream"]({
      type: "bytes",
      pull(controller: ReadableByteStreamController) {
        const segment = segments[index];
        if (segment === undefined) {
          controller.close();
          controller.byobRequest?.respond(0);
          return;
        }
        const chunk = segment.slice(offset, offset + STREAM_CHUNK_BYTES);
        offset += chunk.byteLength;
        if (offset === segment.byteLength) {
          index += 1;
          offset = 0;
        }
        controller.enqueue(chunk);
      },
    });
  }

  async text(): Promise<string> {
    return new platform["TextDecoder"]().decode(this.#read());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#read().buffer;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#read();
  }

  get [Symbol.toStringTag](): string {
    return "Blob";
  }
}

class SoloFile extends SoloBlob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(parts: Iterable<Part>, name: string, options?: FileOptions) {
    if (arguments.length < 2) {
      throw new TypeError("Failed to construct 'File': 2 arguments are required");
    }
    super(parts, options);
    this.#name = String(name).toWellFormed();
    const { lastModified } = toDictionary<FileOptions>(options);
    this.#lastModified =
      lastModified === undefined ? Date.now() : Math.trunc(Number(lastModified)) || 0;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }

  override get [Symbol.toStringTag](): string {
    return "File";
  }
}

export { SoloBlob as Blob, SoloFile as File };
