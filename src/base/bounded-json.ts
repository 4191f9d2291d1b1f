/**
 * JSON text of people and programs that are not trusted, read only as far as reading is cheap.
 * What a text costs to parse depends less on its length than on what is in it: nine megabytes
 * of brackets take seconds, nine megabytes of one string a few milliseconds.
 *
 * 1. A text is measured before it is parsed, in time linear in its length.
 * 2. Which of two values of one name counts is no reader's to guess: the text is refused.
 */
import { SoloError } from "#base/errors.ts";

/** Of arrays and objects within each other. */
export const MAX_LEVELS = 500;
/** Elements, keys and values, counted by the signs between them. */
export const MAX_VALUES = 500_000;

const [SPACE, QUOTE, COMMA, COLON, BACKSLASH] = [32, 34, 44, 58, 92];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];

/** The value; throws a SyntaxError for what is no JSON, `payload_too_large` for what is too much. */
export function parseBounded(text: string): unknown {
  const excess = excessOf(text);
  if (excess !== undefined) throw tooMuch(excess);
  return JSON.parse(text);
}

export const tooMuch = (excess: string): SoloError =>
  new SoloError("payload_too_large", `The JSON ${excess}.`, {
    hint: "Send it in smaller parts, or as one text that whoever receives it reads.",
  });

/** What is too much in it, such as "is nested more than 500 levels deep"; undefined: nothing. */
export function excessOf(text: string): string | undefined {
  // Every level and every value takes a character.
  if (text.length <= MAX_LEVELS) return undefined;
  let level = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        level += 1;
        values += 1;
        if (level > MAX_LEVELS) return `is nested more than ${MAX_LEVELS} levels deep`;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        level -= 1;
        break;
      case COMMA:
      case COLON:
        values += 1;
    }
    if (values > MAX_VALUES) return `holds more than ${MAX_VALUES} values`;
  }
  return undefined;
}

/** Objects below this level hold what is their sender's own. */
const NAMED_LEVELS = 2;
/** Far more than any object has that is read by its names. */
const MAX_NAMES = 2000;

/** The path of a name that one object has twice, in the text's outermost levels. The text must be
 *  JSON. */
export function repeatedName(text: string): string | undefined {
  /** Of each level, the names so far; undefined: an array, or too far down. */
  const open: (Set<string> | undefined)[] = [];
  let outer = "";
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case OPEN_OBJECT:
        open.push(open.length < NAMED_LEVELS ? new Set() : undefined);
        break;
      case OPEN_ARRAY:
        open.push(undefined);
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        open.pop();
        break;
      case QUOTE: {
        const end = endOfString(text, at);
        const names = open.at(-1);
        if (names !== undefined && names.size < MAX_NAMES && isName(text, end + 1)) {
          const name = JSON.parse(text.slice(at, end + 1)) as string;
          if (names.has(name)) return open.length > 1 ? `${outer}.${name}` : name;
          names.add(name);
          if (open.length === 1) outer = name;
        }
        at = end;
      }
    }
  }
  return undefined;
}

/** Whether a colon follows. */
function isName(text: string, after: number): boolean {
  let at = after;
  while (text.charCodeAt(at) <= SPACE) at += 1;
  return text.charCodeAt(at) === COLON;
}

/** Where the string that begins at `start` ends: its closing quote, or the text's end. */
function endOfString(text: string, start: number): number {
  let end = start;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end === -1) return text.length;
    let before = end - 1;
    while (before > start && text.charCodeAt(before) === BACKSLASH) before -= 1;
    if ((end - before) % 2 === 1) return end;
  }
}
