/**
 * Writing to a stream that may be a pipe.
 *
 * 1. A reader that went away (`| head`) is no error: `closed` fires and writes do nothing.
 * 2. A write is done when the stream took it, so nothing is lost when the process ends.
 */
import { SoloError } from "#base/errors.ts";

export class Output {
  readonly #stream: NodeJS.WritableStream;
  readonly #closed = new AbortController();
  #failure: SoloError | undefined;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
    // Stays: a pipe can also break after the last write was taken.
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") {
        this.#failure = new SoloError(
          error.code === "ENOSPC" ? "storage_full" : "internal",
          `The output cannot be written (${error.code}).`,
        );
      }
      this.#closed.abort();
    });
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  async write(text: string | Uint8Array): Promise<void> {
    if (!this.closed.aborted) {
      await new Promise<void>((resolve) => this.#stream.write(text, () => resolve()));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** One document, on one line. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value));
  }
}
