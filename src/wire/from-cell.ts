/**
 * Reading what a cell says: hostile input, checked field by field.
 *
 * 1. A reader answers with exactly the type it promises, or throws; nothing else of the
 *    message gets through.
 * 2. Nobody waits for the reading: what would take long is refused unread.
 */
import {
  DOWN_REASONS,
  EXCESSES,
  FROM_CELL,
  type Down,
  type Excess,
  type Heartbeat,
  type LogLevel,
  type LogLine,
  type ResponseHead,
  type Started,
  type StateShape,
  type StateShapes,
} from "#wire/messages.ts";
import { parseBounded } from "#base/bounded-json.ts";

export interface GuestRequest {
  readonly method: string;
  readonly args: unknown[];
}

const KIB = 1024;
const MAX_SHAPES_CHARS = 256 * KIB;
/** Frames that a cell of ours keeps short. A frame of any other kind may be as long as any. */
const MOST_BYTES: Readonly<Record<number, number>> = {
  [FROM_CELL.started]: 256 * KIB,
  [FROM_CELL.head]: 1024 * KIB,
  [FROM_CELL.credit]: 32,
  [FROM_CELL.body]: 1024 * KIB,
  [FROM_CELL.bodyFailed]: 512 * KIB,
  [FROM_CELL.log]: 512 * KIB,
  [FROM_CELL.down]: 512 * KIB,
  [FROM_CELL.heartbeat]: 2048 * KIB,
  [FROM_CELL.answerCredit]: 32,
  [FROM_CELL.excess]: 256,
};
const LOG_LEVELS: ReadonlySet<unknown> = new Set<LogLevel>(["debug", "info", "warn", "error"]);

/** Whether a frame of this kind may be so long. */
export const mayBeSoLong = (kind: number, bytes: number): boolean =>
  bytes <= (MOST_BYTES[kind] ?? Infinity);

/** Each instance once. */
export function readHeartbeat(text: string): Heartbeat["instances"] {
  const { instances } = object(text);
  must(Array.isArray(instances) && instances.every(isBeat));
  return [...new Map(instances.map((beat) => [beat.slot, beat])).values()];
}

function isBeat(value: unknown): value is Heartbeat["instances"][number] {
  if (typeof value !== "object" || value === null) return false;
  const { slot, ranMs, heapBytes } = value as Record<string, unknown>;
  return isId(slot) && isAmount(ranMs) && (heapBytes === undefined || isAmount(heapBytes));
}

export function readStarted(text: string): Started {
  const { handlers, version, traits } = object(text);
  must(Array.isArray(handlers) && handlers.every(isText));
  must(version === undefined || isText(version));
  must(traits === undefined || (Array.isArray(traits) && traits.every(isText)));
  return {
    handlers,
    ...(version !== undefined && { version }),
    ...(traits !== undefined && { traits }),
  };
}

export function readShapes(text: string): StateShapes {
  must(text.length <= MAX_SHAPES_CHARS);
  const { before, after } = object(text);
  return { before: shapeFrom(before), after: shapeFrom(after) };
}

function shapeFrom(value: unknown): StateShape {
  must(typeof value === "object" && value !== null);
  const entries = Object.entries(value);
  must(entries.every(([, type]) => isText(type)));
  return Object.fromEntries(entries) as StateShape;
}

export function readDown(text: string): Down {
  const { reason, name, message, stack, current, unstarted, seen, ranMs, fastLane } = object(text);
  const known = DOWN_REASONS.find((each) => each === reason);
  must(known !== undefined && isText(name) && isText(message) && isText(stack));
  must(Array.isArray(unstarted) && unstarted.every(isId));
  must(current === undefined || isId(current));
  must(seen === undefined || isId(seen));
  must(ranMs === undefined || isAmount(ranMs));
  return {
    reason: known,
    name,
    message,
    stack,
    unstarted,
    ...(current !== undefined && { current }),
    ...(seen !== undefined && { seen }),
    ...(ranMs !== undefined && { ranMs }),
    fastLane: fastLane === true,
  };
}

export function readLogLine(text: string): LogLine {
  const { level, text: line } = object(text);
  must(LOG_LEVELS.has(level) && isText(line));
  return { level: level as LogLevel, text: line };
}

export function readExcess(text: string): Excess {
  const { what, value } = object(text);
  const known = EXCESSES.find((each) => each === what);
  must(known !== undefined && isAmount(value));
  return { what: known, value };
}

export function readRequest(text: string): GuestRequest {
  const value = parseBounded(text);
  must(Array.isArray(value) && isText(value[0]));
  return { method: value[0], args: Array.isArray(value[1]) ? value[1] : [value[1]] };
}

export function readHead(text: string): ResponseHead {
  const { status, headers, body } = object(text);
  must(typeof status === "number" && Array.isArray(headers) && headers.every(isPair));
  return { status, headers, body: body === true };
}

const isText = (value: unknown): value is string => typeof value === "string";
/** Finite: JSON can spell a number that is not. */
const isAmount = (value: unknown): value is number => Number.isFinite(value) && Number(value) >= 0;
const isId = (value: unknown): value is number => Number.isInteger(value);
const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every(isText);

function object(text: string): Record<string, unknown> {
  const value = parseBounded(text);
  must(typeof value === "object" && value !== null);
  return value as Record<string, unknown>;
}

function must(condition: boolean): asserts condition {
  if (!condition) throw new TypeError("A message of the cell is not of its kind.");
}
