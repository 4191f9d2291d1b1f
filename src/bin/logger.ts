/**
 * The process's log: JSON lines for machines, readable lines for a terminal.
 * Fields whose names promise a secret are never written, whatever was passed.
 */
import { pino } from "pino";
import type { LogFields, Logger } from "#base/log.ts";

export interface LoggerOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** `auto` is pretty on a terminal and JSON elsewhere. */
  readonly format: "auto" | "json" | "pretty";
  /** Where lines go: standard error. */
  readonly stream: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly color?: boolean;
}

export interface ProcessLogger extends Logger {
  setLevel(level: LoggerOptions["level"]): void;
}

const SECRET_FIELDS = [
  "authorization",
  "cookie",
  "key",
  "owner_token",
  "password",
  "secret",
  "secret_value",
  "token",
];

const COLORS: Readonly<Record<string, number>> = { debug: 90, info: 36, warn: 33, error: 31 };
const DIM = 90;

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly pid: number;
  readonly [field: string]: unknown;
}

/** Control characters, as in a service's error text, must not steer the terminal. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (each) =>
    each === "\n" ? "\\n" : `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** `12:30:01.123 info  Message field=value`, on one line whatever the message holds. */
function prettyLine(json: string, color: boolean): string {
  const { level, time, msg, pid: _, ...fields } = JSON.parse(json) as Line;
  const paint = (code: number | undefined, text: string) =>
    color ? `\u001B[${code ?? DIM}m${text}\u001B[0m` : text;
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const clock = time.slice("2000-01-01T".length, -1);
  const words = [paint(DIM, clock), paint(COLORS[level], level.padEnd(5)), printable(msg)];
  if (rest.length > 0) words.push(paint(DIM, printable(rest.join(" "))));
  return `${words.join(" ")}\n`;
}

export function createLogger(options: LoggerOptions): ProcessLogger {
  const { level, format, stream, color = stream.isTTY === true } = options;
  const pretty = format === "pretty" || (format === "auto" && stream.isTTY === true);
  const sink = pretty
    ? { write: (line: string) => stream.write(prettyLine(line, color)) }
    : { write: (line: string) => stream.write(line) };
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS, censor: "[redacted]" },
    },
    sink,
  );
  const at =
    (name: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: LogFields = {}): void =>
      log[name](fields, message);
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    setLevel: (next) => {
      log.level = next;
    },
  };
}
