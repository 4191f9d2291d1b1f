/**
 * tr46's Unicode tables, small enough to sit in every isolate: the mapping table and
 * the regular expressions take 220 kB as published and under a tenth of it here.
 *
 * 1. The result answers as the published table does for every code point; it is
 *    derived from it, not from another source, and checked while it is made.
 * 2. Most mappings are what V8's own Unicode functions give (NFKC and lower case);
 *    only the others are spelled out. The cache's key holds the V8 that checked this.
 */
import { readFile } from "node:fs/promises";

type Entry = readonly [number | readonly [number, number], number, string?];

/** A mapped character whose mapping V8 computes; tr46's own statuses are below 8. */
const COMPUTED = 8;
const MAPPED = 1;
const RADIX = 36;

const compute = (code: number): string =>
  String.fromCodePoint(code).normalize("NFKC").toLowerCase().normalize("NFKC");

interface Range {
  first: number;
  last: number;
  status: number;
  mapping: string | undefined;
}

function toRanges(table: readonly Entry[]): Range[] {
  const ranges: Range[] = [];
  for (const [where, status, mapping] of table) {
    const [first, last] = typeof where === "number" ? [where, where] : where;
    for (let code = first; code <= last; code++) {
      const computed = status === MAPPED && compute(code) === mapping;
      const next: Range = {
        first: code,
        last: code,
        status: computed ? COMPUTED : status,
        mapping: computed ? undefined : mapping,
      };
      const before = ranges.at(-1);
      const joins =
        before?.last === code - 1 &&
        before.status === next.status &&
        before.mapping === next.mapping;
      if (joins) before.last = code;
      else ranges.push(next);
    }
  }
  return ranges;
}

/** Ranges touch each other, so lengths are enough: "length status [:mapping]" separated by commas. */
function packRanges(ranges: readonly Range[]): { packed: string; mappings: readonly string[] } {
  const mappings: string[] = [];
  let expected = 0;
  const parts = ranges.map(({ first, last, status, mapping }) => {
    if (first !== expected) throw new Error(`The IDNA table has a gap before ${first}`);
    expected = last + 1;
    if (mapping !== undefined) mappings.push(mapping);
    return `${(last - first + 1).toString(RADIX)}${mapping === undefined ? "" : "="}${String.fromCharCode(65 + status)}`;
  });
  return { packed: parts.join(""), mappings };
}

/**
 * tr46 looks entries up by bisection over an array and reads [range, status, mapping]:
 * the module below gives it that array, with computed mappings filled in when asked.
 */
function tableModule({ packed, mappings }: ReturnType<typeof packRanges>): string {
  return `
const compute = (code) => String.fromCodePoint(code).normalize("NFKC").toLowerCase().normalize("NFKC");
const mappings = ${JSON.stringify(mappings)};
const table = [];
let first = 0;
let next = 0;
for (const [, length, spelled, letter] of ${JSON.stringify(packed)}.matchAll(/([0-9a-z]+)(=?)([A-Z])/g)) {
  const last = first + parseInt(length, ${RADIX}) - 1;
  const status = letter.charCodeAt(0) - 65;
  if (status === ${COMPUTED}) for (let code = first; code <= last; code++) table.push([code, ${MAPPED}, compute(code)]);
  else table.push(spelled ? [[first, last], status, mappings[next++]] : [[first, last], status]);
  first = last + 1;
}
module.exports = table;`;
}

/** The code points that a character class of the published expressions lists, as [first, last]. */
function classRanges(body: string): [number, number][] {
  const ranges: [number, number][] = [];
  const unit = /\\u\{([0-9A-F]+)\}|\\u([0-9A-F]{4})|\\x([0-9A-F]{2})|\\(0)|\\t|\\(.)|(.)/gu;
  let open = false;
  for (const [all, long, short, byte, zero, escaped, plain] of body.matchAll(unit)) {
    if (plain === "-" && ranges.length > 0 && !open) {
      open = true;
      continue;
    }
    const hex = long ?? short ?? byte;
    const named = zero !== undefined ? 0 : all === "\\t" ? 9 : (escaped ?? plain)?.codePointAt(0);
    const code = hex === undefined ? named! : parseInt(hex, 16);
    if (open) ranges.at(-1)![1] = code;
    else ranges.push([code, code]);
    open = false;
  }
  return ranges;
}

/** Distances from one range to the next and their lengths, ascending, in base 36. */
function packClass(body: string): string {
  let at = 0;
  return classRanges(body)
    .map(([first, last]) => {
      if (first < at) throw new Error("The classes of tr46's expressions are no longer ascending");
      const parts = [first - at, last - first].map((each) => each.toString(RADIX));
      at = last;
      return parts[1] === "0" ? parts[0] : parts.join("-");
    })
    .join(" ");
}

function packExpressions(source: string): string {
  const packed = source.replaceAll(
    /\/((?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\])+)\/u/g,
    (_, body: string) => {
      const classes = body.replaceAll(
        /\[((?:\\.|[^\]\\])*)\]/g,
        (_class, inner: string) => `[${packClass(inner)}]`,
      );
      return `expression(${JSON.stringify(classes)})`;
    },
  );
  return `
const expression = (text) => new RegExp(text.replace(/\\[(.*?)\\]/g, (_, packed) => {
  let at = 0;
  const escape = (code) => "\\\\u{" + code.toString(16) + "}";
  return "[" + packed.split(" ").map((part) => {
    const [gap, length = "0"] = part.split("-");
    const first = at + parseInt(gap, ${RADIX});
    at = first + parseInt(length, ${RADIX});
    return first === at ? escape(first) : escape(first) + "-" + escape(at);
  }).join("") + "]";
}), "u");
${packed}`;
}

export async function compactIdna(path: string): Promise<string> {
  const text = await readFile(path, "utf8");
  if (!path.endsWith(".json")) return packExpressions(text);
  return tableModule(packRanges(toRanges(JSON.parse(text) as Entry[])));
}
