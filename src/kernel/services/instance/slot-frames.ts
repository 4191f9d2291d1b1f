/**
 * What the frames of one slot mean.
 *
 * 1. A frame is read whole, and checked, before anything of it is done.
 * 2. One that is not of its kind, comes twice or asks for more than it may is `broken`: the cell
 *    cannot be trusted any more.
 * 3. What the guest said of itself is passed on without its secrets.
 */
import { Asked } from "#kernel/services/instance/asked.ts";
import {
  readDown,
  readExcess,
  readLogLine,
  readRequest,
  readShapes,
  readStarted,
  type GuestRequest,
} from "#wire/from-cell.ts";
import {
  FROM_CELL,
  type Down,
  type Excess,
  type LogLine,
  type Started,
  type StateShapes,
} from "#wire/messages.ts";

/** Who hears what a slot says; `id`: of the dispatch, request or question that it is about. */
export interface SlotHearer {
  readonly started: (started: Started) => void;
  readonly replied: (id: number, json: string) => void;
  readonly refused: (id: number, error: string) => void;
  /** `head`: not yet read. */
  readonly responded: (id: number, head: string) => void;
  /** Of a response; an empty chunk is its end. The bytes are the reader's own for this turn only. */
  readonly body: (id: number, chunk: Buffer) => void;
  readonly bodyFailed: (id: number) => void;
  /** Bytes of a request's body that it took. */
  readonly credit: (id: number, bytes: number) => void;
  /** The same of an answer's body; below zero: it wants no more. */
  readonly answerCredit: (id: number, bytes: number) => void;
  readonly requested: (id: number, request: GuestRequest) => void;
  readonly logged: (line: LogLine) => void;
  readonly told: (id: number, state: string) => void;
  /** There is no state as it was asked for; `problem`: empty, or why. */
  readonly toldNone: (id: number, problem: string) => void;
  readonly adopted: (state: string) => void;
  readonly shapes: (shapes: StateShapes) => void;
  readonly exceeded: (excess: Excess) => void;
  readonly ended: (down: Down) => void;
  readonly broken: (why: string) => void;
}

export interface SlotFramesOptions {
  /** The most state that it may keep. */
  readonly stateBytes: number;
  readonly redact: <T>(said: T) => T;
  readonly hearer: SlotHearer;
}

export class SlotFrames {
  readonly #options: SlotFramesOptions;
  readonly #asked = new Asked();
  #hasStarted = false;

  constructor(options: SlotFramesOptions) {
    this.#options = options;
  }

  /** The guest's request `id` is not open any more. */
  answered(id: number): void {
    this.#asked.answered(id);
  }

  read(kind: number, id: number, payload: Buffer): void {
    const { hearer, stateBytes } = this.#options;
    switch (kind) {
      case FROM_CELL.reply:
        return hearer.replied(id, payload.toString());
      case FROM_CELL.failed:
        return hearer.refused(id, payload.toString());
      case FROM_CELL.head:
        return hearer.responded(id, payload.toString());
      case FROM_CELL.body:
        return hearer.body(id, payload);
      case FROM_CELL.bodyFailed:
        return hearer.bodyFailed(id);
      case FROM_CELL.credit:
        return hearer.credit(id, numberIn(payload));
      case FROM_CELL.answerCredit:
        return hearer.answerCredit(id, numberIn(payload));
      case FROM_CELL.unchanged:
        return hearer.toldNone(id, payload.toString());
      case FROM_CELL.state:
      case FROM_CELL.adopted: {
        if (payload.length > stateBytes) {
          return hearer.broken("it sent more state than it may keep");
        }
        const state = payload.toString();
        return kind === FROM_CELL.adopted ? hearer.adopted(state) : hearer.told(id, state);
      }
      case FROM_CELL.started:
        if (this.#hasStarted) return hearer.broken("it started twice");
        break;
      case FROM_CELL.request:
        if (!this.#asked.begin(id, payload.length)) {
          return hearer.broken("it asked for more at once than its window");
        }
    }
    this.#readJson(kind, id, payload.toString());
  }

  #readJson(kind: number, id: number, text: string): void {
    const { hearer } = this.#options;
    let act: (() => void) | undefined;
    try {
      act = this.#meaning(kind, id, text);
    } catch {
      return hearer.broken("it sent a malformed message");
    }
    if (act === undefined) hearer.broken("it sent a frame of no known kind");
    else act();
  }

  /** Throws when it is not of its kind; undefined when it is of none. */
  #meaning(kind: number, id: number, text: string): (() => void) | undefined {
    const { hearer, redact } = this.#options;
    switch (kind) {
      case FROM_CELL.request: {
        const request = readRequest(text);
        return () => hearer.requested(id, request);
      }
      case FROM_CELL.log: {
        const { level, text: said } = readLogLine(text);
        const line = { level, text: redact(said) };
        return () => hearer.logged(line);
      }
      case FROM_CELL.started: {
        const started = readStarted(text);
        return () => {
          this.#hasStarted = true;
          hearer.started(started);
        };
      }
      case FROM_CELL.shapes: {
        const shapes = readShapes(text);
        return () => hearer.shapes(shapes);
      }
      case FROM_CELL.excess: {
        const excess = readExcess(text);
        return () => hearer.exceeded(excess);
      }
      case FROM_CELL.down: {
        const told = readDown(text);
        const { name, message, stack } = told;
        const report = { ...told, ...redact({ name, message, stack }) };
        return () => hearer.ended(report);
      }
      default:
        return undefined;
    }
  }
}

const numberIn = (payload: Buffer): number => Number(payload.toString()) || 0;
