/**
 * What a guest asks of the kernel: so many requests at a time, the rest waits here, where
 * it costs nobody but this cell.
 *
 * 1. Requests leave in the order in which they were made.
 * 2. Beyond MAX_WAITING a request is refused; the kernel never hears of it.
 */
const MAX_IN_FLIGHT = 512;
export const MAX_WAITING = 20_000;

interface Request {
  readonly id: number;
  readonly text: string;
}

export class RequestWindow {
  readonly #send: (id: number, text: string) => void;
  readonly #inFlight = new Set<number>();
  #waiting: Request[] = [];
  #next = 0;

  constructor(send: (id: number, text: string) => void) {
    this.#send = send;
  }

  /** False when too many wait already. */
  ask(id: number, text: string): boolean {
    if (this.#waiting.length - this.#next >= MAX_WAITING) return false;
    this.#waiting.push({ id, text });
    this.#pump();
    return true;
  }

  /** True when the request had not left yet; now it never will. */
  withdraw(id: number): boolean {
    const at = this.#waiting.findIndex((request) => request.id === id);
    if (at < this.#next) return false;
    this.#waiting.splice(at, 1);
    return true;
  }

  answered(id: number): void {
    if (this.#inFlight.delete(id)) this.#pump();
  }

  #pump(): void {
    while (this.#inFlight.size < MAX_IN_FLIGHT && this.#next < this.#waiting.length) {
      const { id, text } = this.#waiting[this.#next]!;
      this.#next += 1;
      this.#inFlight.add(id);
      this.#send(id, text);
    }
    if (this.#next < MAX_WAITING && this.#next < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#next);
    this.#next = 0;
  }
}
