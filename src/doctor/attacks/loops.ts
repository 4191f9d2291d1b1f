/** Code that never gives its thread back, in every place where code can run. */
import { called, everyDay, loaded, type Attack } from "#doctor/attack.ts";

/** By the cell at the call's deadline, else by the kernel; some fill their heap before. */
const STOPPED =
  "deadline_exceeded or service_crashed or outcome_unknown → timeout or memory or cell";

const loop = (name: string, code: string, expect = STOPPED): Attack => ({
  name,
  kind: "loop",
  code,
  expect,
});

/** (module (func $f (loop br 0)) (export "f" (func $f))), with `start` also (start $f). */
const wasmLoop = (start: boolean): string =>
  `new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
    ${start ? "8, 1, 0, " : ""}10, 9, 1, 7, 0, 3, 64, 12, 0, 11, 11])`;

export const loops: readonly Attack[] = [
  everyDay(loop("loops", called("for (;;);"))),
  loop("loops at top level", loaded("for (;;);"), "refused startup_timeout"),
  loop(
    "loops in init",
    "export default { init() { for (;;); }, calls: { attack: () => 1 } };",
    "refused startup_timeout",
  ),
  loop(
    "loops on in finally",
    called("function again(): any { try { for (;;); } finally { again(); } } again();"),
  ),
  everyDay(
    loop(
      "loops in microtasks",
      called("const spin = (): any => Promise.resolve().then(spin); await spin();"),
    ),
  ),
  loop("loops over awaits", called("while (true) await null;")),
  loop(
    "leaves a loop behind in a timer",
    called("setTimeout(() => { for (;;); }, 0); return 1;"),
    "replied → timeout",
  ),
  loop(
    "leaves a loop behind in a promise",
    called("Promise.resolve().then(() => { for (;;); }); return 1;"),
  ),
  everyDay(
    loop(
      "loops in getters of what it throws",
      called(
        "throw { get name() { for (;;); }, get message() { for (;;); }, get stack() { for (;;); } };",
      ),
    ),
  ),
  loop(
    "loops in getters of the error it throws",
    called(`const error = new Error("x");
      for (const key of ["name", "message", "stack", "code", "cause"]) Object.defineProperty(error, key, { get() { for (;;); } });
      throw error;`),
  ),
  loop(
    "loops in Error.prepareStackTrace",
    called("(Error as any).prepareStackTrace = () => { for (;;); }; throw new Error('x');"),
    "service_crashed → exception",
  ),
  loop("loops in toJSON of its reply", called("return { toJSON() { for (;;); } };")),
  loop(
    "loops in what turns its reply into text or a number",
    called(
      "const on = () => { for (;;); }; return { toString: on, valueOf: on, [Symbol.toPrimitive]: on };",
    ),
    "replied → lives",
  ),
  loop("loops in then of its reply", called("return { then() { for (;;); } };")),
  loop(
    "loops in a proxy as its reply",
    called(
      "const on = () => { for (;;); }; return new Proxy({}, { ownKeys: on, get: on as any });",
    ),
  ),
  loop(
    "loops in toString of what it logs",
    called("solo.log.info({ toString() { for (;;); }, get x() { for (;;); } }); return 1;"),
    "replied → lives",
  ),
  loop("loops in a reviver", called("JSON.parse('[1, 2]', () => { for (;;); });")),
  everyDay(
    loop(
      "backtracks in a regular expression",
      called("return /^(a+)+$/.test('a'.repeat(60) + 'b');"),
    ),
  ),
  loop("loops in a comparator", called("[3, 1, 2].sort(() => { for (;;); });")),
  loop(
    "multiplies BigInts without end",
    called("let n = 3n; for (;;) n = (n * n) % (1n << 2_000_000n);"),
  ),
  loop(
    "prints an enormous BigInt",
    called("return String((3n ** 16_000_000n).toString().length);"),
    "deadline_exceeded → timeout",
  ),
  everyDay(
    loop(
      "searches an array of four billion holes",
      called("return new Array(2 ** 32 - 2).indexOf(5);"),
    ),
  ),
  loop(
    "loops in WebAssembly",
    called(`new WebAssembly.Instance(new WebAssembly.Module(${wasmLoop(false)})).exports.f();`),
  ),
  loop(
    "loops in a start function of WebAssembly",
    called(`new WebAssembly.Instance(new WebAssembly.Module(${wasmLoop(true)}));`),
  ),
  loop(
    "loops after an asynchronous compilation of WebAssembly",
    called(
      `const { instance } = await WebAssembly.instantiate(${wasmLoop(false)}); instance.exports.f();`,
    ),
  ),
  loop(
    "waits for a lock for ever",
    called("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"),
    "service_crashed → exception",
  ),
  loop(
    "loops while a key is made of an object",
    called("return ({} as any)[{ [Symbol.toPrimitive]() { for (;;); } } as any];"),
  ),
  loop(
    "loops in a species",
    called(
      "class List extends Array { static get [Symbol.species](): any { for (;;); } } return new List(3).map((x: any) => x);",
    ),
  ),
  loop(
    "loops in what replaces a match",
    called("return 'aaa'.replace(/(?<n>a)/g, () => { for (;;); });"),
  ),
  loop(
    "waits for a generator that never ends",
    called("async function* on() { for (;;) yield 1; } for await (const _ of on()); return 1;"),
  ),
  loop(
    "answers with a proxy of a proxy, a hundred thousand deep",
    called("let p: any = {}; for (let i = 0; i < 100_000; i += 1) p = new Proxy(p, {}); return p;"),
    "service_crashed → exception",
  ),
  loop("never answers", called("await new Promise(() => {});"), "deadline_exceeded → timeout"),
];
