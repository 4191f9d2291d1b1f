/**
 * What one guest says, on its way to the kernel.
 *
 * 1. Nothing leaves unchecked: what names an id that the kernel did not send is ignored; a line
 *    that is not of its kind, or too long, is the guest's failure.
 * 2. What one turn says is bounded, whoever speaks: this thread is that of all guests of the cell.
 * 3. A request is answered here, leaves when the kernel's window has room, or is refused.
 */
import { excessOf, tooMuch } from "#base/bounded-json.ts";
import { believed, BrokenBridge, readThrown } from "#cell/from-guest.ts";
import { IN, NO_MORE, OUT, splitLine, type Thrown } from "#cell/guest/lines.ts";
import { MAX_LINE_CHARS, MAX_TURN_CHARS, MAX_TURN_LINES } from "#cell/guest/outbox.ts";
import { MAX_WAITING, RequestWindow } from "#cell/request-window.ts";
import { GuestTimers } from "#cell/timers.ts";
import {
  mayBeSoLong,
  readExcess,
  readLogLine,
  readRequest,
  readShapes,
  readStarted,
} from "#wire/from-cell.ts";
import { FROM_CELL, LOG_LINES_PER_TURN } from "#wire/messages.ts";

const MAX_BYTES_PER_CHAR = 3;

/** The guest has crashed in this turn. */
export interface Crash {
  readonly thrown: Thrown;
  /** The dispatch that it was at. */
  readonly id: number;
  /** Dispatches that never began. */
  readonly waiting: number[];
}

export interface SpeechOptions {
  readonly send: (kind: number, id: number, payload?: string | Uint8Array) => void;
  /** A line back to the guest; `key` names the handler that it will run. */
  readonly post: (op: string, id: number, rest?: string, key?: string) => void;
  /** Requests that the cell itself answers, such as crypto; undefined: the kernel's. */
  readonly answerLocally: (method: string, request: unknown) => Promise<unknown> | undefined;
  /** It has started, or taken a state over. */
  readonly ready: () => void;
  /** Its orderly end. */
  readonly terminated: () => void;
}

export class Speech {
  readonly #options: SpeechOptions;
  readonly #timers: GuestTimers;
  readonly #asked: RequestWindow;
  /** Dispatches of the kernel that have no outcome yet, in order. */
  readonly #open = new Set<number>();
  #hasStarted = false;
  #crash: Crash | undefined;
  /** Lines of the log that the present turn has said. */
  #logged = 0;

  constructor(options: SpeechOptions) {
    const { send, post } = options;
    this.#options = options;
    this.#asked = new RequestWindow((id, text) => send(FROM_CELL.request, id, text));
    this.#timers = new GuestTimers((id) => post(IN.timer, id, "", "timer"));
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  get crash(): Crash | undefined {
    return this.#crash;
  }

  get open(): ReadonlySet<number> {
    return this.#open;
  }

  /** The guest is given a dispatch, and may say what became of it. */
  opened(id: number): void {
    this.#open.add(id);
  }

  /** To its request `id`. */
  answer(id: number, ok: boolean, text: string): void {
    this.#asked.answered(id);
    this.#options.post(ok ? IN.answer : IN.refusal, id, text);
  }

  /** Nothing is said any more. */
  end(): void {
    this.#timers.stopAll();
  }

  /** The lines that a turn returned: no more than an outbox of ours holds. */
  linesOf(said: string): string[] {
    this.#logged = 0;
    if (said === "") return [];
    if (said.length > MAX_TURN_CHARS) throw new BrokenBridge();
    const lines = said.split("\n", MAX_TURN_LINES + 1);
    if (lines.length > MAX_TURN_LINES) throw new BrokenBridge();
    return lines;
  }

  /** Acts on one line; `chunks`: the bytes that came with the turn, in order. */
  hear(text: string, chunks: Uint8Array[]): void {
    const line = splitLine(text);
    if (line === undefined) return;
    const { op, id, rest } = line;
    if (rest.length > MAX_LINE_CHARS) throw new BrokenBridge();
    const send = (kind: number, payload: string | Uint8Array = "") => {
      const mostBytes = payload.length * (typeof payload === "string" ? MAX_BYTES_PER_CHAR : 1);
      if (!mayBeSoLong(kind, mostBytes)) throw new BrokenBridge();
      this.#options.send(kind, id, payload);
    };
    switch (op) {
      case OUT.reply:
        if (this.#open.delete(id)) send(FROM_CELL.reply, rest);
        return;
      case OUT.failed:
        if (this.#open.delete(id)) send(FROM_CELL.failed, rest);
        return;
      case OUT.head:
        if (this.#open.delete(id)) send(FROM_CELL.head, rest);
        return;
      case OUT.chunk: {
        const bytes = chunks.shift();
        if (bytes !== undefined) send(FROM_CELL.body, bytes);
        return;
      }
      case OUT.end:
        return send(FROM_CELL.body);
      case OUT.bodyFailed:
        return send(FROM_CELL.bodyFailed, rest);
      case OUT.credit:
        return send(FROM_CELL.credit, rest);
      case OUT.request:
        return this.#request(id, rest);
      case OUT.answerCredit:
        if (rest === NO_MORE && this.#asked.withdraw(id)) return;
        return send(FROM_CELL.answerCredit, rest);
      case OUT.log:
        if ((this.#logged += 1) > LOG_LINES_PER_TURN) throw new BrokenBridge();
        believed(readLogLine, rest);
        return send(FROM_CELL.log, rest);
      case OUT.startTimer:
        return this.#timers.start(id, rest);
      case OUT.stopTimer:
        return this.#timers.stop(id);
      case OUT.state:
        return send(FROM_CELL.state, rest);
      case OUT.unchanged:
        return send(FROM_CELL.unchanged, rest);
      case OUT.shapes:
        believed(readShapes, rest);
        return send(FROM_CELL.shapes, rest);
      case OUT.excess:
        believed(readExcess, rest);
        return send(FROM_CELL.excess, rest);
      case OUT.adopted:
        this.#options.ready();
        return send(FROM_CELL.adopted, rest);
      case OUT.started:
        if (this.#hasStarted) throw new BrokenBridge();
        believed(readStarted, rest);
        this.#hasStarted = true;
        this.#options.ready();
        return send(FROM_CELL.started, rest);
      case OUT.terminated:
        return this.#options.terminated();
      case OUT.crashed:
        this.#crash ??= { thrown: believed(readThrown, rest), id, waiting: [] };
        return;
      case OUT.unstarted:
        if (this.#open.has(id)) this.#crash?.waiting.push(id);
        return;
    }
  }

  #request(id: number, rest: string): void {
    const excess = excessOf(rest);
    if (excess !== undefined) {
      return this.answer(id, false, JSON.stringify(tooMuch(excess).toBody()));
    }
    const { method, args } = believed(readRequest, rest);
    const local = this.#options.answerLocally(method, args[0]);
    if (local === undefined) {
      if (this.#asked.isOpen(id)) throw new BrokenBridge();
      if (this.#asked.ask(id, rest)) return;
      const detail = `More than ${MAX_WAITING} requests wait for the kernel.`;
      this.answer(id, false, JSON.stringify({ code: "overloaded", detail }));
      return;
    }
    local.then(
      (value) => this.answer(id, true, JSON.stringify(value)),
      (error: Error) => {
        const refusal = { code: "invalid_argument", detail: error.message };
        this.answer(id, false, JSON.stringify(refusal));
      },
    );
  }
}
