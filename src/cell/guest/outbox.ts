/**
 * What the guest has to say to its host, until the host has it.
 *
 * 1. Bounded: a flood of logs or requests is refused here, inside the guest's own heap. It
 *    never keeps out how a message ended. How many lines of the log were dropped is said.
 * 2. Lines returned by a turn stay until the next turn acknowledges them: when a turn ends
 *    in an exception its return value is lost, and `render` gives the same lines again.
 */
import { LOG_LINES_PER_TURN, type Excess } from "../../wire/messages.ts";
import { FLAG, OUT } from "./lines.ts";

const { stringify: toJson } = JSON;

/** Of lines that a guest can say as often as it likes. */
const MAX_LINES = 20_000;
/** Byte arrays are copied one by one on the thread that all guests of a cell share. */
const MAX_BYTE_ARRAYS = 512;
const MAX_AT_WILL_CHARS = 12 * 1024 * 1024;
const MAX_CHARS = 16 * 1024 * 1024;
/** What a turn of this outbox never reaches; whoever says more speaks in its place. */
export const MAX_TURN_LINES = 2 * MAX_LINES;
export const MAX_TURN_CHARS = 2 * MAX_CHARS;
/** A line becomes one frame, in which a character takes up to three bytes (wire/frame.ts). */
export const MAX_LINE_CHARS = 10 * 1024 * 1024;
/** How something ended is always said, unless it is longer than this. */
const SMALL_CHARS = 256 * 1024;

export interface Outbox {
  /** False when there is no room for it: nothing was added. */
  add(op: string, id: number, rest?: string): boolean;
  addBytes(op: string, id: number, bytes: Uint8Array): boolean;
  /** Forgets what the last `render` returned. */
  acknowledge(): void;
  render(): string;
  /** The byte arrays that the last `render` announced. */
  takeBytes(): Uint8Array[];
}

const isAtWill = (op: string): boolean =>
  op === OUT.log ||
  op === OUT.request ||
  op === OUT.chunk ||
  op === OUT.startTimer ||
  op === OUT.stopTimer;

export function createOutbox(): Outbox {
  let lines: string[] = [];
  let bytes: Uint8Array[] = [];
  let returned = 0;
  let announced = 0;
  let chars = 0;
  /** Lines of the log among them, those that the last `render` returned, and those dropped. */
  let logged = 0;
  let loggedReturned = 0;
  let unlogged = 0;

  const hasRoom = (op: string, size: number): boolean => {
    if (op === OUT.log && logged >= LOG_LINES_PER_TURN) return false;
    if (isAtWill(op)) return lines.length < MAX_LINES && chars + size <= MAX_AT_WILL_CHARS;
    return size <= SMALL_CHARS || (size <= MAX_LINE_CHARS && chars + size <= MAX_CHARS);
  };
  return {
    add(op, id, rest = "") {
      if (!hasRoom(op, rest.length)) {
        if (op === OUT.log) unlogged += 1;
        return false;
      }
      if (op === OUT.log) logged += 1;
      chars += rest.length;
      lines[lines.length] = rest === "" ? `${op} ${id}` : `${op} ${id} ${rest}`;
      return true;
    },
    addBytes(op, id, chunk) {
      if (bytes.length >= MAX_BYTE_ARRAYS || !hasRoom(op, chunk.length)) return false;
      chars += chunk.length;
      lines[lines.length] = `${op} ${id}`;
      bytes[bytes.length] = chunk;
      return true;
    },
    acknowledge() {
      if (returned === 0) return;
      logged -= loggedReturned;
      lines = returned === lines.length ? [] : lines.slice(returned);
      returned = 0;
      chars = 0;
      for (const line of lines) chars += line.length;
      for (const chunk of bytes) chars += chunk.length;
    },
    render() {
      if (unlogged > 0) {
        const excess: Excess = { what: "log_lines", value: unlogged };
        lines[lines.length] = `${OUT.excess} 0 ${toJson(excess)}`;
        unlogged = 0;
      }
      returned = lines.length;
      loggedReturned = logged;
      announced = bytes.length;
      const flag = announced > 0 ? FLAG.bytes : FLAG.none;
      return lines.length === 0 ? flag : `${flag}${lines.join("\n")}`;
    },
    takeBytes() {
      const taken = bytes.slice(0, announced);
      bytes = bytes.slice(announced);
      announced = 0;
      return taken;
    },
  };
}
