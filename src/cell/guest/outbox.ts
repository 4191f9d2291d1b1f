/**
 * What the guest has to say to its host, until the host has it.
 *
 * 1. Bounded: a flood of logs or requests is refused here, inside the guest's own heap.
 * 2. Lines returned by a turn stay until the next turn acknowledges them: when a turn ends
 *    in an exception its return value is lost, and `render` gives the same lines again.
 */
import { FLAG } from "./lines.ts";

const MAX_LINES = 20_000;
const MAX_CHARS = 16 * 1024 * 1024;

export interface Outbox {
  /** False when the outbox is full: nothing was added. */
  add(op: string, id: number, rest?: string): boolean;
  addBytes(op: string, id: number, bytes: Uint8Array): boolean;
  /** Forgets what the last `render` returned. */
  acknowledge(): void;
  render(drainAgain: boolean): string;
  takeBytes(): Uint8Array[];
}

export function createOutbox(): Outbox {
  let lines: string[] = [];
  let bytes: Uint8Array[] = [];
  let returned = 0;
  let chars = 0;

  const room = (size: number) => lines.length < MAX_LINES && chars + size <= MAX_CHARS;
  return {
    add(op, id, rest = "") {
      if (!room(rest.length)) return false;
      chars += rest.length;
      lines[lines.length] = rest === "" ? `${op} ${id}` : `${op} ${id} ${rest}`;
      return true;
    },
    addBytes(op, id, chunk) {
      if (!room(chunk.length)) return false;
      chars += chunk.length;
      lines[lines.length] = `${op} ${id}`;
      bytes[bytes.length] = chunk;
      return true;
    },
    acknowledge() {
      if (returned === 0) return;
      lines = returned === lines.length ? [] : lines.slice(returned);
      returned = 0;
      chars = 0;
      for (const line of lines) chars += line.length;
    },
    render(drainAgain) {
      returned = lines.length;
      const flags = (drainAgain ? FLAG.drain : 0) + (bytes.length > 0 ? FLAG.bytes : 0);
      return lines.length === 0 ? String(flags) : `${flags}${lines.join("\n")}`;
    },
    takeBytes() {
      const taken = bytes;
      bytes = [];
      return taken;
    },
  };
}
