/**
 * One request from its start to its answer's last byte, over however many hops.
 *
 * 1. It ends once: everything that it holds is given back then, and its account is told.
 */
import type { SoloError } from "#base/errors.ts";
import type { Echo } from "#egress/echo.ts";

/** Bytes of bodies, as they went over the wire. */
export interface Account {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** What allows a hop. */
export interface Granted {
  /** A capability names exactly this host, not only a pattern that holds it. */
  readonly named: boolean;
  /** Calls back with the reason when what allowed this is over; returns what stops that. */
  readonly onEnd: (listener: (why: SoloError) => void) => () => void;
}

export class Flight {
  sentBytes = 0;
  receivedBytes = 0;
  /** Of every hop so far: a host may send on what another was sent. */
  readonly echoes: Echo[] = [];
  readonly #over: (account: Account) => void;
  readonly #abort = new AbortController();
  #atEnd: (() => void)[] = [];
  #ended = false;

  constructor(over: (account: Account) => void) {
    this.#over = over;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(why: SoloError): void {
    this.#abort.abort(why);
    this.end();
  }

  /** Runs at the end; at once when that has come. */
  atEnd(act: () => void): void {
    if (this.#ended) act();
    else this.#atEnd.push(act);
  }

  /** What allows a hop must last until all is over. */
  hold({ onEnd }: Granted): void {
    this.atEnd(onEnd((why) => this.abort(why)));
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const act of this.#atEnd) act();
    this.#atEnd = [];
    this.#over({ sentBytes: this.sentBytes, receivedBytes: this.receivedBytes });
  }
}
