/** Code that replaces what its bridge is made of, and speaks to the host in its place. */
import { called, everyDay, type Attack } from "#doctor/attack.ts";

const BROKEN = "service_crashed → exception";
/** It has lost its voice: its caller is told when the time is over. */
const SILENT = "deadline_exceeded → timeout";

const bridge = (name: string, body: string, expect = BROKEN): Attack => ({
  name,
  kind: "escape",
  code: called(body),
  expect,
});

/** From now on the host hears `lines`, the text of an expression, instead of what the bridge says. */
const says = (lines: string): string =>
  `const join = Array.prototype.join; const lines = ${lines};
  Array.prototype.join = function (this: any, by: any) { return by === "\\n" ? lines : join.call(this, by); };
  return 1;`;
const often = (line: string): string => `${JSON.stringify(`${line}\n`)}.repeat(100_000)`;

const FORGED: Readonly<Record<string, string>> = {
  "a crash that is no JSON": "C 1 {",
  "a crash that is null": "C 1 null",
  "a crash without a text in it": 'C 1 {"name":1,"message":{},"stack":[]}',
  "a crash of messages that it never had":
    'C 0 {"name":"E","message":"m","stack":"s"}\nw 2\nw 2\nw 99',
  "a request that is no JSON": "H 1 [",
  "a request without a method": "H 1 [5,[]]",
  "a timer in no time": "T 1 NaN x",
  "a log line that is null": "l 0 null",
  "bytes that are not there": "b 1",
  "a response that is no JSON": "h 1 {",
  "a second start, of nothing": "O 0 null",
  "a state that is no JSON": "s 0 {{{",
  "an error of a megabyte": `C 1 ${JSON.stringify({ name: "E", message: "m".repeat(1_000_000), stack: "s" })}`,
  "its own orderly end": "z 0",
};
/** As expressions. */
const FLOODS: Readonly<Record<string, string>> = {
  "an end of messages without number": `'C 0 {"name":"E","message":"m","stack":"s"}\\n' + ${often("w 1")}`,
  "a hundred thousand lines of its log": often('l 0 {"level":"info","text":"x"}'),
  "a hundred thousand lines that mean nothing": often("? 0"),
  "more of its log than one turn may say": `${often('l 0 {"level":"info","text":"x"}')}.slice(0, 33 * 3000)`,
};

/** What its cell cannot use and may ignore, or what is of its kind after all. */
const EXPECTED: Readonly<Record<string, string>> = {
  "a timer in no time": SILENT,
  "bytes that are not there": SILENT,
  "a response that is no JSON": "service_error → lives",
  "a state that is no JSON": SILENT,
  "its own orderly end": "outcome_unknown → lives",
};

const forged = (what: string, lines: string): Attack =>
  bridge(`tells its cell of ${what}`, says(lines), EXPECTED[what]);

export const forgeries: readonly Attack[] = [
  ...Object.entries(FORGED).map(([what, lines]) => {
    const attack = forged(what, JSON.stringify(lines));
    return lines === "C 1 {" ? everyDay(attack) : attack;
  }),
  ...Object.entries(FLOODS).map(([what, lines]) => forged(what, lines)),
];

/** The kernel would be the one to read them. */
const heavy = (name: string, lines: string, expect = BROKEN): Attack =>
  bridge(name, says(lines), expect);

export const bridges: readonly Attack[] = [
  ...forgeries,
  everyDay(
    heavy(
      "answers with what is nested two million deep",
      "'R 1 ' + '['.repeat(2_000_000) + ']'.repeat(2_000_000)",
      "payload_too_large → lives",
    ),
  ),
  heavy(
    "casts what is nested two million deep",
    `'H 1 ["services.cast",["neighbour","poke",[' + '['.repeat(2_000_000) + ']'.repeat(2_000_000) + ']]]'`,
    SILENT,
  ),
  heavy(
    "logs a line of eight megabytes",
    `'l 0 {"level":"info","text":"' + 'x'.repeat(8_000_000) + '"}'`,
  ),
  heavy("answers with a line of thirty megabytes", `'R 1 "' + 'x'.repeat(30_000_000) + '"'`),
  bridge(
    "catches every element that an array is given",
    "for (let i = 0; i < 64; i += 1) Object.defineProperty(Array.prototype, String(i), { set() {}, get: () => 'C 1 {', configurable: true }); return 1;",
    SILENT,
  ),
  bridge(
    "replaces Array.prototype.slice, and throws",
    "(Array.prototype as any).slice = () => 7; throw new Error('x');",
  ),
  bridge(
    "replaces Array.prototype.map, and loops",
    "(Array.prototype as any).map = () => ({ toJSON: () => ({ a: 1 }) }); for (;;);",
    SILENT,
  ),
  bridge(
    "replaces the methods of Map",
    "for (const name of ['get', 'set', 'delete', 'has', 'values']) (Map.prototype as any)[name] = () => { throw null; }; await solo.kv.get('x'); return 1;",
  ),
  bridge(
    "loops in Promise.prototype.then",
    "(Promise.prototype as any).then = () => { for (;;); }; await solo.kv.get('x'); return 1;",
    SILENT,
  ),
  bridge(
    "replaces the methods of String",
    "for (const name of ['split', 'slice', 'indexOf', 'charCodeAt']) (String.prototype as any)[name] = () => 'x'; return 1;",
    "replied → lives",
  ),
  bridge(
    "loops in Object.prototype.toJSON",
    "(Object.prototype as any).toJSON = () => { for (;;); }; return { a: 1 };",
    SILENT,
  ),
  bridge(
    "loops in the species of promises and bytes",
    "for (const each of [Promise, Uint8Array]) Object.defineProperty(each, Symbol.species, { get() { for (;;); } }); await solo.kv.get('x'); return 1;",
    SILENT,
  ),
  bridge(
    "makes every array endless",
    "(Array.prototype as any)[Symbol.iterator] = function* () { for (;;) yield 1; }; await solo.kv.get('x'); return { a: 1 };",
    "service_crashed → timeout",
  ),
];
