/**
 * Reading what a guest says: it may have replaced everything that its bridge is made of.
 *
 * 1. What is not of its kind is the guest's own failure: it ends that guest.
 */
import { parseBounded } from "#base/bounded-json.ts";
import { GuestFailure } from "#cell/engine.ts";
import type { Thrown } from "#cell/guest/lines.ts";

/** Of each text of an error: its guest may have made it as long as it liked. */
export const MAX_TEXT_CHARS = 8 * 1024;

export interface Salvage {
  /** The dispatch at hand, or 0. */
  readonly current: number;
  /** Dispatches that have not begun. */
  readonly waiting: readonly number[];
  /** The lines that it had to say. */
  readonly said: string;
}

/** Whoever speaks is not the bridge that it was given. */
export class BrokenBridge extends GuestFailure {
  constructor() {
    super("exception", "TypeError", "The guest broke its bridge.", "");
  }
}

/** What `read` makes of a line; a line that it cannot read is the guest's failure. */
export function believed<T>(read: (text: string) => T, text: string): T {
  try {
    return read(text);
  } catch {
    throw new BrokenBridge();
  }
}

export function readThrown(text: string): Thrown {
  const { name, message, stack } = parseBounded(text) as Record<keyof Thrown, unknown>;
  must(typeof name === "string" && typeof message === "string" && typeof stack === "string");
  return {
    name: name.slice(0, MAX_TEXT_CHARS),
    message: message.slice(0, MAX_TEXT_CHARS),
    stack: stack.slice(0, MAX_TEXT_CHARS),
  };
}

export function readSalvage(text: string): Salvage {
  const end = text.indexOf("\n");
  const at = parseBounded(text.slice(0, end)) as Record<keyof Salvage, unknown>;
  const { current, waiting } = at;
  must(isId(current) && Array.isArray(waiting) && waiting.every(isId));
  return { current, waiting, said: text.slice(end + 1) };
}

/** The byte arrays that it handed over. */
export function readBytes(handed: unknown): Uint8Array[] {
  if (Array.isArray(handed) && handed.every((each) => each instanceof Uint8Array)) return handed;
  throw new BrokenBridge();
}

const isId = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;

function must(condition: boolean): asserts condition {
  if (!condition) throw new TypeError("A line of the guest is not of its kind.");
}
