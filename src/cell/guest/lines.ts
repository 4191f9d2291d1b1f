/**
 * The text protocol across the isolate's wall: lines `op id rest`, joined by newlines.
 * JSON text holds no newline, so a line needs no length. Bytes travel beside the text, in
 * the order of the lines that announce them.
 *
 * 1. Only strings and byte arrays cross; no reference, promise or host object does.
 * 2. What the guest says is hostile: the cell checks every op and id before it acts.
 */

import type { StateSource } from "../../wire/messages.ts";

/** Host → guest. */
export const IN = {
  setup: "S", // rest: GuestSetup
  call: "c", // [name, args]
  cast: "k",
  info: "i",
  fetch: "f", // FetchHead
  chunk: "b", // one byte array follows
  end: "e",
  credit: "g", // rest: bytes taken
  cancel: "x",
  answer: "+", // id of the request; rest: JSON
  refusal: "-", // rest: ErrorBody
  answerChunk: "d",
  answerEnd: "D",
  timer: "t",
  snapshot: "p", // rest: SnapshotWish
  adopt: "o", // rest: Adoption
  /** Nothing: the first turn of an isolate takes twice as long as the next, and is had early. */
  idle: "n",
  terminate: "q", // rest: JSON string, the reason
} as const;

/** Guest → host. */
export const OUT = {
  started: "O", // rest: Started
  reply: "R", // rest: JSON, or empty
  failed: "F", // rest: ErrorBody
  head: "h", // ResponseHead
  chunk: "b",
  end: "e",
  bodyFailed: "a",
  credit: "g",
  request: "H", // rest: [method, args]
  answerCredit: "G", // id of the request; rest: bytes taken, -1: no more is wanted
  log: "l", // rest: LogLine
  startTimer: "T", // rest: `delayMs repeat`
  stopTimer: "U",
  state: "s", // id of the request for it or 0; rest: encoded state
  unchanged: "u", // id of the request; rest: nothing, or ErrorBody
  adopted: "A", // rest: encoded state
  shapes: "B", // rest: StateShapes
  excess: "X", // rest: Excess
  crashed: "C", // id: the dispatch at hand or 0; rest: Thrown
  unstarted: "w", // a dispatch that the crash kept from beginning
  terminated: "z",
} as const;

/** Of what a service says of itself once it has started: the names of its handlers, mostly.
 *  The kernel keeps it. */
export const MAX_STARTED_CHARS = 80 * 1024;

/** Instead of a number of bytes: the rest is not wanted. */
export const NO_MORE = "-1";

/** The global by which the entry module hands the service over; gone once it has been used. */
export const ADOPT_GLOBAL = "__solo_adopt";

/** The first character of what a turn returns. */
export const FLAG = {
  none: "0",
  /** Byte arrays wait to be taken. */
  bytes: "1",
} as const;

export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

export interface GuestSetup {
  /** Bytes, from which its random numbers come. */
  readonly seed: readonly number[];
  readonly tenant: string;
  readonly service: string;
  readonly instance: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args: unknown;
  readonly state: StateSource;
  readonly durable: boolean;
  readonly keepState: boolean;
  readonly stateBytes: number;
  /** Patterns of keys that are not stored. */
  readonly excluded: readonly string[];
}

/** Splits `op id rest`; undefined when the line is not of that form. */
export function splitLine(line: string): { op: string; id: number; rest: string } | undefined {
  const space = line.indexOf(" ", 2);
  const idText = space === -1 ? line.slice(2) : line.slice(2, space);
  const id = Number(idText);
  if (line.charCodeAt(1) !== 32 || !Number.isInteger(id) || id < 0 || id > 0xffff_ffff) {
    return undefined;
  }
  return { op: line[0]!, id, rest: space === -1 ? "" : line.slice(space + 1) };
}
