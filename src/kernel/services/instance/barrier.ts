/**
 * The state that an instance has sent, on its way to disk, and what waits for it.
 *
 * 1. Nothing is passed on before the state ahead of it, or a newer one, is on disk. In durable
 *    mode one that could not be stored is tried again first.
 * 2. At most two states are held, whatever the instance sends: the one that is being written,
 *    and the newest.
 */
export class Barrier {
  readonly #save: (state: string) => Promise<void>;
  readonly #isDurable: boolean;
  /** The last write: it is under way, or waits for the one ahead. */
  #last: Promise<void> | undefined;
  /** A newer state takes its place until its write begins. */
  #waiting: { state: string } | undefined;
  #unsaved: string | undefined;

  constructor(options: { readonly isDurable: boolean; save(state: string): Promise<void> }) {
    this.#isDurable = options.isDurable;
    this.#save = options.save;
  }

  store(state: string): void {
    this.#unsaved = undefined;
    if (this.#waiting !== undefined) {
      this.#waiting.state = state;
      return;
    }
    const write = { state };
    const ahead = this.#last;
    if (ahead !== undefined) this.#waiting = write;
    const begin = () => {
      this.#waiting = undefined;
      return this.#save(write.state);
    };
    const stored = ahead === undefined ? begin() : ahead.then(begin, begin);
    this.#last = stored;
    const settled = (isStored: boolean) => () => {
      if (this.#last !== stored) return;
      this.#last = undefined;
      if (!isStored) this.#unsaved = write.state;
    };
    stored.then(settled(true), settled(false));
  }

  /** Runs `act` once everything ahead is on disk, at once if it is; or `failed`, with the reason. */
  pass(act: () => void, failed: (error: unknown) => void): void {
    if (this.#unsaved !== undefined && this.#isDurable) this.store(this.#unsaved);
    if (this.#last === undefined) act();
    else this.#last.then(act, failed);
  }

  /** Runs `act` once nothing is on its way any more, whether it arrived or not. */
  afterwards(act: () => void): void {
    if (this.#last === undefined) act();
    else this.#last.then(act, act);
  }
}
