/** A queue that is long, pushed at one end and dropped from the other, without moving its items each time. */
export class Deque<T> {
  #items: T[] = [];
  #start = 0;

  get length(): number {
    return this.#items.length - this.#start;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  at(index: number): T | undefined {
    return this.#items[this.#start + index];
  }

  slice(from: number, to: number): T[] {
    return this.#items.slice(this.#start + from, this.#start + to);
  }

  /** Takes the first `count` items away and returns them. */
  take(count: number): T[] {
    const taken = this.slice(0, count);
    this.#start += taken.length;
    if (this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return taken;
  }

  /** How many items at the start fulfil `test`; they all come before those that do not. */
  countWhile(test: (item: T) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(this.at(middle) as T)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
