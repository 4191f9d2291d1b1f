/**
 * How the messages that an instance has in hand end: with a reply, a refusal or a response.
 *
 * 1. An outcome leaves only after the state that it is based on is on disk; when that cannot be
 *    stored, the sender hears so instead.
 * 2. A message ends once; what the cell names and is not in hand is ignored.
 */
import { SoloError } from "#base/errors.ts";
import type { Barrier } from "#kernel/services/instance/barrier.ts";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";
import type { InHand } from "#kernel/services/instance/in-hand.ts";
import { refusalFrom } from "#kernel/services/instance/outcomes.ts";
import { readHead } from "#wire/from-cell.ts";
import type { ResponseHead } from "#wire/messages.ts";

export interface SettlingOptions {
  readonly inHand: InHand;
  readonly barrier: Barrier;
  readonly now: () => number;
  readonly redact: <T>(said: T) => T;
  /** Room for another message. */
  readonly room: () => void;
  /** `failed`: not as its sender hoped. */
  readonly settled: (tookMs: number, failed: boolean) => void;
}

export class Settling {
  /** Monotonic ms of the last sign that the instance gets on with its work. */
  progressAt: number;
  readonly #options: SettlingOptions;

  constructor(options: SettlingOptions) {
    this.#options = options;
    this.progressAt = options.now();
  }

  // What is settled may have to wait for the disk, and a frame's bytes are not its own for so
  // long: it is text by then.

  replied(id: number, json: string): void {
    this.#settle(id, (dispatch) => {
      dispatch.reply(json);
      return true;
    });
  }

  refused(id: number, text: string): void {
    this.#settle(id, (dispatch) => {
      dispatch.fail(refusalFrom(text, this.#options.redact));
      return false;
    });
  }

  /** Its body may follow. */
  responded(id: number, text: string): void {
    const { inHand } = this.#options;
    const asked = inHand.find(id);
    if (asked !== undefined) inHand.beginBody(id, asked);
    this.#settle(id, (dispatch) => {
      const head = passHead(dispatch, text);
      if (head?.body !== true) inHand.dropBody(id);
      return (head?.status ?? 500) < 500;
    });
  }

  /** `act`: ends the dispatch; says whether it went as its sender hoped. */
  #settle(id: number, act: (dispatch: Dispatch) => boolean): void {
    const { inHand, barrier, now, room } = this.#options;
    const dispatch = inHand.find(id);
    if (dispatch === undefined) return;
    barrier.pass(
      () => {
        // A message that was given up while it waited is no headway of the one at hand.
        if (inHand.isFirst(id) || !dispatch.settled) this.progressAt = now();
        // One that was given up before it ended was too slow for somebody.
        const inTime = !dispatch.settled;
        const well = act(dispatch);
        this.#close(id, dispatch, well && inTime);
        room();
      },
      (error) => {
        this.#close(id, dispatch, false);
        inHand.dropBody(id);
        dispatch.fail(notStored(error));
        room();
      },
    );
  }

  #close(id: number, dispatch: Dispatch, well: boolean): void {
    const { inHand, settled, now } = this.#options;
    if (!inHand.close(id, dispatch)) return;
    settled(now() - dispatch.sentAt, !well);
    inHand.tellHeadway();
  }
}

/** Passes the head on; undefined when it is none. */
function passHead(dispatch: Dispatch, text: string): ResponseHead | undefined {
  let head: ResponseHead;
  try {
    head = readHead(text);
  } catch {
    dispatch.fail(new SoloError("service_error", "The service's response is malformed."));
    return undefined;
  }
  dispatch.bodies?.responded(head);
  dispatch.reply("");
  return head;
}

const notStored = (error: unknown): SoloError =>
  error instanceof SoloError
    ? error
    : new SoloError("unavailable", "The state could not be stored.", { cause: error });
