/**
 * What a guest asks of the kernel: so much at a time, the rest waits here, where it costs
 * nobody but this cell.
 *
 * 1. Requests leave in the order in which they were made.
 * 2. What is under way never passes the window that the kernel holds every cell to.
 * 3. Beyond MAX_WAITING, or MAX_WAITING_CHARS, a request is refused; the kernel never hears
 *    of it.
 */
import { REQUEST_WINDOW } from "#wire/messages.ts";

export const MAX_WAITING = 20_000;
export const MAX_WAITING_CHARS = 32 * 1024 * 1024;

interface Request {
  readonly id: number;
  readonly text: string;
}

export class RequestWindow {
  readonly #send: (id: number, text: string) => void;
  /** Waiting or under way. */
  readonly #open = new Set<number>();
  /** From id to length. */
  readonly #inFlight = new Map<number, number>();
  #inFlightChars = 0;
  #waiting: Request[] = [];
  #waitingChars = 0;
  #next = 0;

  constructor(send: (id: number, text: string) => void) {
    this.#send = send;
  }

  /** It has no answer yet: no other request may have its id. */
  isOpen(id: number): boolean {
    return this.#open.has(id);
  }

  /** False when too many wait already. */
  ask(id: number, text: string): boolean {
    const tooMany = this.#waiting.length - this.#next >= MAX_WAITING;
    if (tooMany || this.#waitingChars + text.length > MAX_WAITING_CHARS) return false;
    this.#open.add(id);
    this.#waiting.push({ id, text });
    this.#waitingChars += text.length;
    this.#pump();
    return true;
  }

  /** True when the request had not left yet; now it never will. */
  withdraw(id: number): boolean {
    const at = this.#waiting.findIndex(
      (request, index) => index >= this.#next && request.id === id,
    );
    if (at === -1) return false;
    const [gone] = this.#waiting.splice(at, 1);
    this.#waitingChars -= gone!.text.length;
    this.#open.delete(id);
    return true;
  }

  answered(id: number): void {
    const chars = this.#inFlight.get(id);
    if (chars === undefined) return;
    this.#inFlight.delete(id);
    this.#open.delete(id);
    this.#inFlightChars -= chars;
    this.#pump();
  }

  /** One that is larger than the window leaves alone. */
  #hasRoom({ text }: Request): boolean {
    const { requests, chars } = REQUEST_WINDOW;
    const { size } = this.#inFlight;
    return size === 0 || (size < requests && this.#inFlightChars + text.length <= chars);
  }

  #pump(): void {
    while (this.#next < this.#waiting.length && this.#hasRoom(this.#waiting[this.#next]!)) {
      const { id, text } = this.#waiting[this.#next]!;
      this.#next += 1;
      this.#waitingChars -= text.length;
      this.#inFlight.set(id, text.length);
      this.#inFlightChars += text.length;
      this.#send(id, text);
    }
    if (this.#next < MAX_WAITING && this.#next < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
