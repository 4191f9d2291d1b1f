/**
 * What an instance has asked for and was not answered.
 *
 * 1. A cell keeps to its window, or is not ours: whatever it asks for, the requests under way
 *    hold a bounded amount of the kernel's memory.
 */
import { REQUEST_WINDOW } from "#wire/messages.ts";

const MAX_BYTES_PER_CHAR = 3;

export class Asked {
  /** From id to length. */
  readonly #open = new Map<number, number>();
  #bytes = 0;

  /** False for what no cell of ours would ask now. */
  begin(id: number, bytes: number): boolean {
    const { requests, chars } = REQUEST_WINDOW;
    if (this.#open.has(id) || this.#open.size >= requests) return false;
    this.#open.set(id, bytes);
    this.#bytes += bytes;
    return this.#open.size === 1 || this.#bytes <= chars * MAX_BYTES_PER_CHAR;
  }

  answered(id: number): void {
    this.#bytes -= this.#open.get(id) ?? 0;
    this.#open.delete(id);
  }
}
