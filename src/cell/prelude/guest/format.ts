/**
 * Values as Node's console shows them: node-inspect-extracted, which is Node's own
 * `util.inspect` outside Node. It is loaded when something other than plain text is shown.
 */
import { platform } from "./platform.ts";

export interface InspectOptions {
  readonly depth?: number | null;
  readonly showHidden?: boolean;
}

interface Inspect {
  inspect(value: unknown, options: object): string;
  formatWithOptions(options: object, ...args: unknown[]): string;
}

/** Deeper than Node's 2, as logs are read by models that cannot expand a value. */
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
const MAX_STRING_CHARS = 10_000;
/** A line of the log never gets longer than this. */
export const MAX_LOG_CHARS = 64 * 1024;

const BOUNDS = {
  depth: 4,
  colors: false,
  showProxy: false,
  maxArrayLength: MAX_ITEMS,
  maxStringLength: MAX_STRING_CHARS,
};

const load = (): Inspect => platform["formatter"] as Inspect;

export function inspect(value: unknown, options: InspectOptions = {}): string {
  const depth = Math.min(options.depth ?? MAX_DEPTH, MAX_DEPTH);
  return load().inspect(value, {
    ...BOUNDS,
    customInspect: false,
    showHidden: options.showHidden === true,
    depth,
  });
}

export const quote = (value: unknown): string => load().inspect(value, BOUNDS);

export function format(args: readonly unknown[]): string {
  const plain = args.every((each) => typeof each === "string");
  if (plain && (args.length < 2 || !(args[0] as string).includes("%"))) return args.join(" ");
  return load().formatWithOptions(BOUNDS, ...args);
}

export function cap(text: string): string {
  if (text.length <= MAX_LOG_CHARS) return text;
  const rest = text.length - MAX_LOG_CHARS;
  return `${text.slice(0, MAX_LOG_CHARS)}... ${rest} more character${rest === 1 ? "" : "s"}`;
}
