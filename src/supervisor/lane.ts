/**
 * A lane runs its jobs one after another, in order of arrival. An idle lane runs a job
 * at once, in the caller's turn, and holds nothing.
 */
export class Lane {
  #last: Promise<void> | undefined;

  async run<T>(job: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#last = done;
    if (before !== undefined) await before;
    try {
      return await job();
    } finally {
      if (this.#last === done) this.#last = undefined;
      resolve();
    }
  }
}
