/** Callbacks that want to hear of every change. */
export class Listeners {
  readonly #callbacks = new Set<() => void>();

  add(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  notify(): void {
    for (const callback of this.#callbacks) callback();
  }
}
