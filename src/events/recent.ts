/** The newest items, in memory, bounded by number and size, for those who follow closely. */
import { Deque } from "#events/deque.ts";

export interface RecentOptions<T> {
  readonly maxItems: number;
  readonly maxChars: number;
  readonly id: (item: T) => number;
  readonly chars: (item: T) => number;
}

export class Recent<T> {
  readonly #options: RecentOptions<T>;
  readonly #items = new Deque<T>();
  #chars = 0;
  /** Everything after this id is here. */
  #floor = 0;

  constructor(options: RecentOptions<T>) {
    this.#options = options;
  }

  /** Begins after `floor`: what came before is not here. */
  startAfter(floor: number): void {
    this.#floor = floor;
  }

  push(item: T): void {
    const { maxItems, maxChars, id, chars } = this.#options;
    this.#items.push(item);
    this.#chars += chars(item);
    while (this.#items.length > maxItems || this.#chars > maxChars) {
      const [dropped] = this.#items.take(1) as [T];
      this.#chars -= chars(dropped);
      this.#floor = id(dropped);
    }
  }

  /** Every item after `cursor`, or undefined when some of them are no longer here. */
  after(cursor: number): T[] | undefined {
    if (cursor < this.#floor) return undefined;
    const { id } = this.#options;
    const first = this.#items.countWhile((item) => id(item) <= cursor);
    return this.#items.slice(first, this.#items.length);
  }
}
