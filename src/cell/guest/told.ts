/**
 * What the host is told of the state, and what it has been told already.
 *
 * 1. A state is told once: what the host has is not sent again unless it asks for it.
 * 2. Keys that are left out of what is stored never leave, except to the next revision.
 */
import type { Excess, SnapshotWish } from "../../wire/messages.ts";
import { OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";
import { matcher } from "./patterns.ts";
import { encodeState, utf8Bytes, withOnly, without } from "./state.ts";
import { describeThrown } from "./thrown.ts";

const MAX_BYTES_PER_CHAR = 3;
const HINT =
  "Keep functions and connections in variables of the module, and the state within limits.state_bytes. A service that cannot tell its state cannot be updated: kill it and deploy it anew.";

export interface Told {
  /** Tells the state unless the host has it; throws when it cannot be kept. */
  tell(): void;
  /** Answers the host's request for the state. */
  answer(id: number, wish: SnapshotWish): void;
  /** The host has this state already. */
  knows(text: string): void;
  /** The state has been taken over and is told now: as it is stored, or whole. */
  took(whole: boolean): string;
  /** A stored state with those keys of a new one that are never stored. */
  completed(stored: unknown, made: unknown): unknown;
}

export function createTold(options: {
  readonly outbox: Outbox;
  readonly stateBytes: number;
  readonly excluded: readonly string[];
  readonly state: () => unknown;
  /** Nothing is being handled or waited for. */
  readonly idle: () => boolean;
}): Told {
  const { outbox, stateBytes, excluded, state, idle } = options;
  const leftOut = excluded.length === 0 ? undefined : matcher(excluded);
  let last: string | undefined;

  const kept = (): unknown => (leftOut === undefined ? state() : without(state(), leftOut));

  /** `isLook`: somebody only looks, and is told what is wrong with it. */
  function encoded(value: unknown, isLook = false): string {
    const text = encodeState(value);
    if (text.length * MAX_BYTES_PER_CHAR <= stateBytes) return text;
    const bytes = utf8Bytes(text);
    if (bytes <= stateBytes) return text;
    const excess: Excess = { what: "state", value: bytes };
    if (!isLook) outbox.add(OUT.excess, 0, JSON.stringify(excess));
    throw new RangeError(
      `The state is ${bytes} bytes encoded; limits.state_bytes allows ${stateBytes}.`,
    );
  }

  function send(id: number, text: string): void {
    if (outbox.add(OUT.state, id, text)) return;
    throw new RangeError(`The state is ${text.length} characters encoded: more than one line.`);
  }

  function tell(id: number): void {
    const text = encoded(kept());
    if (text === last) {
      if (id !== 0) outbox.add(OUT.unchanged, id);
      return;
    }
    send(id, text);
    last = text;
  }

  return {
    tell: () => tell(0),
    answer(id, wish) {
      if (wish === "changed") return tell(id);
      if (wish === "idle" && !idle()) return void outbox.add(OUT.unchanged, id);
      // Somebody wants to look: a state that cannot be told is an answer, no crash.
      try {
        const text = encoded(wish === "whole" ? state() : kept(), true);
        send(id, text);
        if (wish !== "whole") last = text;
      } catch (error) {
        const detail = `The state cannot be told: ${describeThrown(error).message}`;
        outbox.add(
          OUT.unchanged,
          id,
          JSON.stringify({ code: "service_error", detail, hint: HINT }),
        );
      }
    },
    knows(text) {
      last = text;
    },
    took(whole) {
      last = encoded(kept());
      return whole && leftOut !== undefined ? encoded(state()) : last;
    },
    completed: (stored, made) => (leftOut === undefined ? stored : withOnly(stored, made, leftOut)),
  };
}
