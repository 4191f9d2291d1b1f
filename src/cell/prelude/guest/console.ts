/**
 * console, after https://console.spec.whatwg.org/, formatting as Node does.
 *
 * 1. One call is one bounded line of the service's log; nothing else leaves.
 * 2. The engine's own console, with its inspector hooks, is not part of it.
 */
import type { LogLevel } from "../host.ts";
import { cap, format, inspect, type InspectOptions } from "./format.ts";
import { host } from "./platform.ts";
import { table as drawTable } from "./table.ts";

/** Labels that count and time keep at once; more are refused with a warning. */
const MAX_LABELS = 1000;
const MAX_INDENT = 40;

let indent = "";
const counts = new Map<string, number>();
const timers = new Map<string, number>();

function write(level: LogLevel, text: string): void {
  host.log(level, cap(indent === "" ? text : indent + text.replaceAll("\n", `\n${indent}`)));
}

const toLabel = (label: unknown): string => (label === undefined ? "default" : String(label));

function keep(map: Map<string, number>, label: string, value: number): void {
  if (map.size >= MAX_LABELS && !map.has(label)) {
    write("warn", `Too many console labels: '${label}' is not kept`);
    return;
  }
  map.set(label, value);
}

function elapsed(method: string, label: string): string | undefined {
  const started = timers.get(label);
  if (started === undefined) {
    write("warn", `Warning: No such label '${label}' for console.${method}()`);
    return undefined;
  }
  return `${label}: ${host.now() - started}ms`;
}

const withArgs = (text: string, args: readonly unknown[]): string =>
  args.length === 0 ? text : `${text} ${format(args)}`;

function stackOf(args: readonly unknown[], below: () => void): string {
  const holder = { name: "Trace", message: format(args), stack: "" };
  Error.captureStackTrace(holder, below);
  const frames = holder.stack.split("\n").filter((line) => line.startsWith("    at "));
  return [holder.message === "" ? "Trace" : `Trace: ${holder.message}`, ...frames].join("\n");
}

export const console = {
  log: (...args: unknown[]): void => write("info", format(args)),
  info: (...args: unknown[]): void => write("info", format(args)),
  debug: (...args: unknown[]): void => write("debug", format(args)),
  warn: (...args: unknown[]): void => write("warn", format(args)),
  error: (...args: unknown[]): void => write("error", format(args)),
  trace: (...args: unknown[]): void => write("debug", stackOf(args, console.trace)),
  assert: (condition?: unknown, ...args: unknown[]): void => {
    if (condition) return;
    const [first, ...rest] = args;
    if (typeof first === "string") write("error", format([`Assertion failed: ${first}`, ...rest]));
    else
      write(
        "error",
        args.length === 0 ? "Assertion failed" : format(["Assertion failed:", ...args]),
      );
  },
  dir: (value?: unknown, options?: InspectOptions): void => write("info", inspect(value, options)),
  dirxml: (...args: unknown[]): void => write("info", format(args)),
  table: (data?: unknown, columns?: readonly string[]): void => {
    const drawable = typeof data === "object" && data !== null;
    write("info", drawable ? drawTable(data, columns) : format([data]));
  },
  count: (label?: unknown): void => {
    const name = toLabel(label);
    const next = (counts.get(name) ?? 0) + 1;
    keep(counts, name, next);
    write("info", `${name}: ${next}`);
  },
  countReset: (label?: unknown): void => {
    const name = toLabel(label);
    if (!counts.delete(name)) write("warn", `Warning: Count for '${name}' does not exist`);
  },
  group: (...args: unknown[]): void => {
    if (args.length > 0) write("info", format(args));
    if (indent.length < MAX_INDENT) indent += "  ";
  },
  groupCollapsed: (...args: unknown[]): void => console.group(...args),
  groupEnd: (): void => {
    indent = indent.slice(2);
  },
  time: (label?: unknown): void => {
    const name = toLabel(label);
    if (timers.has(name))
      write("warn", `Warning: Label '${name}' already exists for console.time()`);
    else keep(timers, name, host.now());
  },
  timeLog: (label?: unknown, ...args: unknown[]): void => {
    const text = elapsed("timeLog", toLabel(label));
    if (text !== undefined) write("info", withArgs(text, args));
  },
  timeEnd: (label?: unknown): void => {
    const text = elapsed("timeEnd", toLabel(label));
    if (text === undefined) return;
    timers.delete(toLabel(label));
    write("info", text);
  },
  clear: (): void => {
    indent = "";
  },
};

Object.defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });

/** Reports as an uncaught error would be, without ending anything. */
export function reportError(error: unknown): void {
  write("error", `Uncaught ${format([error])}`);
}
