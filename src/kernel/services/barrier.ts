/**
 * The state that an instance has sent, on its way to disk, and what waits for it.
 *
 * 1. Nothing is passed on before the state ahead of it is on disk. In durable mode one that
 *    could not be stored is tried again first.
 */
export class Barrier {
  readonly #save: (state: string) => Promise<void>;
  readonly #isDurable: boolean;
  /** The last state, on its way. */
  #saving: Promise<void> | undefined;
  #unsaved: string | undefined;

  constructor(options: { readonly isDurable: boolean; save(state: string): Promise<void> }) {
    this.#isDurable = options.isDurable;
    this.#save = options.save;
  }

  store(state: string): void {
    const saving = this.#save(state);
    this.#saving = saving;
    this.#unsaved = undefined;
    const settled = (unsaved: string | undefined) => () => {
      if (this.#saving !== saving) return;
      this.#saving = undefined;
      this.#unsaved = unsaved;
    };
    saving.then(settled(undefined), settled(state));
  }

  /** Runs `act` once everything ahead is on disk, at once if it is; or `failed`, with the reason. */
  pass(act: () => void, failed: (error: unknown) => void): void {
    if (this.#unsaved !== undefined && this.#isDurable) this.store(this.#unsaved);
    if (this.#saving === undefined) act();
    else this.#saving.then(act, failed);
  }

  /** Runs `act` once nothing is on its way any more, whether it arrived or not. */
  afterwards(act: () => void): void {
    if (this.#saving === undefined) act();
    else this.#saving.then(act, act);
  }
}
