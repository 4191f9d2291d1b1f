/** Source that is hostile to whoever reads, parses, compiles or links it. */
import { called, everyDay, loaded, type Attack } from "#doctor/attack.ts";

/** In two pieces: tools that read this file take the whole for a comment of its own. */
const MAP_URL = ["sourceMapping", "URL"].join("");

const source = (name: string, code: string, expect: string): Attack => ({
  name,
  kind: "source",
  code,
  expect,
});
const files = (
  name: string,
  sources: Readonly<Record<string, string>>,
  expect: string,
): Attack => ({
  name,
  kind: "source",
  files: sources,
  expect,
});

const ANSWERS = "export default { calls: { attack: () => 1 } };";

export const sources: readonly Attack[] = [
  source(
    "nests calls a hundred thousand deep",
    `${"f(".repeat(100_000)}1${")".repeat(100_000)};${ANSWERS}`,
    "refused compile_failed",
  ),
  source(
    "nests templates and arrows twenty thousand deep",
    `const x = ${"() => `${".repeat(20_000)}1${"}`".repeat(20_000)};${ANSWERS}`,
    "refused compile_failed",
  ),
  source(
    "adds two hundred thousand numbers in one expression",
    `const sum = ${"1+".repeat(200_000)}1;${ANSWERS}`,
    "refused compile_failed",
  ),
  source(
    "unions thirty thousand types",
    `type Wide = ${Array.from({ length: 30_000 }, (_, at) => `{ a${at}: T${at} }`).join(" | ")};${ANSWERS}`,
    "replied → lives",
  ),
  source(
    "declares sixty thousand functions",
    `${Array.from({ length: 60_000 }, (_, at) => `function f${at}(){}`).join("\n")}\n${ANSWERS}`,
    "refused startup_timeout; replied → lives",
  ),
  source(
    "has a line of ten megabytes",
    `/*${"x".repeat(10_000_000)}*/${ANSWERS}`,
    "refused payload_too_large",
  ),
  source(
    "has a regular expression that is hard to judge",
    `const r = /^(?:${"(?:a|a?)+".repeat(60)}|(?:${"(a*)*".repeat(60)}))+$/; ${ANSWERS}`,
    "replied → lives",
  ),
  source(
    "has a regular expression of twenty thousand alternatives",
    `const r = /^(?:${Array.from({ length: 20_000 }, (_, at) => `a${at}?`).join("|")})*$/; ${ANSWERS}`,
    "replied → lives",
  ),
  source(
    "has a regular expression whose groups nest thirty thousand deep",
    `const r = /${"(".repeat(30_000)}a${")+".repeat(30_000)}/; ${ANSWERS}`,
    "refused compile_failed; replied → lives",
  ),
  source(
    "points its stacks at files of the host",
    `export default { calls: { attack() { throw new Error("x"); } } };
//# sourceURL=file:///etc/passwd
//# ${MAP_URL}=file:///etc/shadow`,
    "service_crashed → exception",
  ),
  source(
    "has a source map of its own, of nonsense",
    `export default { calls: { attack() { throw new Error("x"); } } };
//# ${MAP_URL}=data:application/json;base64,${Buffer.from('{"version":3,"sources":["../../../etc/passwd"],"mappings":"////////"}').toString("base64")}`,
    "service_crashed → exception",
  ),
  source(
    "forges the frames of its stack",
    called(
      "const error = new Error('x'); error.stack = 'Error: x\\n' + '    at index.ts:99999999:99999999\\n'.repeat(100) + '    at ../../etc/passwd:1:1\\n    at __proto__:1:1'; throw error;",
    ),
    "service_crashed → exception",
  ),
  source(
    "spells its names with characters that turn the text around",
    `const \\u{61}b = 1; /* \u202e } \u2066 */ ${ANSWERS}`,
    "replied → lives",
  ),
  source("consists of half a character", `\ud800${ANSWERS}`, "refused compile_failed"),
  source("consists of zeros", "\0".repeat(1000), "refused compile_failed"),
  source(
    "exports a then",
    "export const then = (done: any) => { for (;;); }; export default { calls: { attack: () => 1 } };",
    "replied → lives",
  ),
  source(
    "imports itself",
    `import self from "./index.ts"; import * as all from "./index.ts"; export default { calls: { attack: () => Object.keys(all).length + typeof self } };`,
    "replied → lives",
  ),
  source(
    "imports itself while it is loaded",
    loaded(`try { await import("./index.ts"); } catch {}`),
    "refused startup_timeout; replied → lives",
  ),
  source(
    "exports a proxy whose parts change each time",
    `let n = 0; export default new Proxy({ calls: { attack: () => 1 } }, { get(target: any, key) { n += 1; return key === "calls" ? (n % 2 ? target.calls : 7) : target[key]; } });`,
    "refused startup_failed; replied → lives",
  ),
  source(
    "names a handler after a prototype",
    `export default { calls: JSON.parse('{"__proto__":1}'), casts: {} };`,
    "refused startup_failed",
  ),
  source(
    "replaces everything before its bridge begins",
    loaded(
      "for (const [of, name] of [[Array.prototype, 'join'], [Array.prototype, 'push'], [JSON, 'stringify'], [Function.prototype, 'call'], [Map.prototype, 'set'], [Promise.prototype, 'then']] as any) Object.defineProperty(of, name, { value: () => { throw null; } });",
    ),
    "refused startup_failed; refused startup_timeout",
  ),
  source(
    "sets traps for every key that an object is given",
    loaded(
      "for (const key of ['tenant', 'service', 'code', 'name', 'message', 'detail', 'id', 'op', 'run', 'resolve']) Object.defineProperty(Object.prototype, key, { configurable: true, get() { return 'trap'; }, set() { throw new Error('trap'); } });",
    ),
    "replied → lives; service_crashed → exception; refused startup_failed",
  ),
  source(
    "freezes what everybody shares",
    loaded(
      "for (const each of [Object, Array, Promise, Map, JSON, Error, Function]) { Object.freeze(each); Object.freeze((each as any).prototype); } Object.freeze(globalThis);",
    ),
    "replied → lives; service_crashed → exception; refused startup_failed",
  ),
  source(
    "rejects ten thousand promises while it is loaded",
    loaded("for (let i = 0; i < 10_000; i += 1) Promise.reject(new Error('x'.repeat(1000)));"),
    "refused startup_failed or refused service_crashed",
  ),
  files(
    "imports in a ring, through five hundred files",
    Object.fromEntries(
      Array.from({ length: 500 }, (_, at) => [
        at === 0 ? "index.ts" : `m${at}.ts`,
        `import next from "./${at === 499 ? "index" : `m${at + 1}`}.ts"; ${at === 0 ? ANSWERS : `export default ${at}; void (() => next);`}`,
      ]),
    ),
    "replied → lives",
  ),
  files(
    "brings six hundred files",
    Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`m${at}.ts`, ANSWERS])),
    "refused invalid_argument",
  ),
  ...[
    "../out.ts",
    "/etc/passwd.ts",
    "a/../../b.ts",
    "a\0b.ts",
    "__proto__/a.ts",
    `${"x".repeat(5000)}.ts`,
    "con\u202estr.ts",
    "C:\\a.ts",
    "./a.ts",
    "a//b.ts",
  ].map((path) =>
    files(
      `names a file ${JSON.stringify(path.slice(0, 20))}`,
      { "index.ts": ANSWERS, [path]: ANSWERS },
      "refused invalid_argument",
    ),
  ),
  everyDay(
    files(
      "names its files after prototypes",
      {
        "index.ts": `import a from "./constructor.ts"; import b from "./toString.js"; export default { calls: { attack: () => a + b } };`,
        "constructor.ts": "export default 1;",
        "toString.js": "export default 2;",
        "hasOwnProperty.json": '{"__proto__":{"polluted":1}}',
      },
      "replied → lives",
    ),
  ),
  files(
    "imports a JSON that is nested two hundred thousand deep",
    {
      "index.ts": `import deep from "./deep.json"; export default { calls: { attack: () => typeof deep } };`,
      "deep.json": "[".repeat(200_000) + "]".repeat(200_000),
    },
    "replied → lives; refused compile_failed; refused startup_failed",
  ),
];
