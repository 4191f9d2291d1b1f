/**
 * What the kernel and a guest say to each other about the guest's state.
 *
 * 1. Every question is answered: with a state, with none, with a refusal, or by the end of
 *    the instance.
 * 2. In durable mode the guest tells a change once: what it tells when asked is stored too.
 */
import { refusalFrom } from "#kernel/services/instance/outcomes.ts";
import { TO_CELL, type Adoption, type SnapshotWish, type StateShapes } from "#wire/messages.ts";

interface Question {
  readonly wish: SnapshotWish;
  resolve(state: string | undefined): void;
  reject(error: unknown): void;
}

export interface StateTalkOptions {
  readonly isDurable: boolean;
  readonly send: (kind: number, id: number, payload: string) => void;
  /** The guest will not tell it again. */
  readonly store: (state: string) => void;
  readonly redact: <T>(said: T) => T;
}

export class StateTalk {
  readonly #options: StateTalkOptions;
  readonly #questions = new Map<number, Question>();
  readonly #adopting = Promise.withResolvers<string>();
  #lastId = 0;
  /** What it said about the states of an adoption that asked for it. */
  shapes: StateShapes | undefined;

  constructor(options: StateTalkOptions) {
    this.#options = options;
  }

  ask(wish: SnapshotWish): Promise<string | undefined> {
    const id = (this.#lastId = (this.#lastId % 0xffff_fff0) + 1);
    return new Promise((resolve, reject) => {
      this.#questions.set(id, { wish, resolve, reject });
      this.#options.send(TO_CELL.snapshot, id, wish);
    });
  }

  /** A state that was not asked for (id 0) is sent because it must be stored. */
  told(id: number, state: string): void {
    const question = this.#take(id);
    const once = this.#options.isDurable && question !== undefined && question.wish !== "whole";
    if (id === 0 || once) this.#options.store(state);
    question?.resolve(state);
  }

  /** There is no state as it was wished for; `problem`: why, if that is a failure. */
  toldNone(id: number, problem: string): void {
    const question = this.#take(id);
    if (problem.length === 0) question?.resolve(undefined);
    else question?.reject(refusalFrom(problem, this.#options.redact));
  }

  /** Resolves with what the guest made of the state. */
  adopt(adoption: Adoption): Promise<string> {
    this.#options.send(TO_CELL.adopt, 0, JSON.stringify(adoption));
    return this.#adopting.promise;
  }

  adopted(state: string): void {
    this.#adopting.resolve(state);
  }

  end(error: { readonly asked: Error; readonly adopting: Error }): void {
    for (const { reject } of this.#questions.values()) reject(error.asked);
    this.#questions.clear();
    this.#adopting.promise.catch(() => {});
    this.#adopting.reject(error.adopting);
  }

  #take(id: number): Question | undefined {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    return question;
  }
}
