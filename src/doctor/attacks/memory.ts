/** Code that takes memory without end, of every kind that an engine hands out. */
import { called, everyDay, type Attack } from "#doctor/attack.ts";

/** By whichever bound it meets first: V8's, its heap's, the cell's, or its call's time. */
const STOPPED =
  "service_crashed or outcome_unknown or deadline_exceeded → memory or exception or timeout or cell";

const bomb = (name: string, body: string, expect = STOPPED): Attack => ({
  name,
  kind: "memory",
  code: called(`const kept: any[] = []; ${body}`),
  expect,
});

export const memory: readonly Attack[] = [
  everyDay(bomb("fills its heap with objects", "for (;;) kept.push({ a: 1, b: [2] });")),
  bomb("fills a Map", "const map = new Map(); for (let i = 0; ; i += 1) map.set(i, { i });"),
  bomb(
    "appends to a string",
    "let text = 'x'; for (;;) { text += text; kept.push(text.slice(1) + 'y'); }",
  ),
  bomb("repeats a string", "for (;;) kept.push('x'.repeat(2 ** 28) + kept.length);"),
  everyDay(bomb("splits an enormous string", "kept.push('x'.repeat(2 ** 28).split(''));")),
  bomb(
    "pads strings",
    "for (let i = 0; ; i += 1) kept.push(String(i).padEnd(2 ** 26, 'ab').split('a'));",
  ),
  bomb(
    "replaces into a larger string",
    "let text = 'x'.repeat(1000); for (;;) { text = text.replace(/x/g, 'xxxxxxxx'); kept.push(text); }",
  ),
  everyDay(bomb("fills typed arrays", "for (;;) kept.push(new Uint8Array(2 ** 24).fill(1));")),
  bomb(
    "fills array buffers",
    "for (;;) { const buffer = new ArrayBuffer(2 ** 24); new Uint32Array(buffer).fill(7); kept.push(buffer); }",
  ),
  everyDay(
    bomb(
      "grows resizable array buffers",
      `for (;;) {
        const buffer = new (ArrayBuffer as any)(0, { maxByteLength: 2 ** 28 });
        for (let size = 2 ** 20; size <= 2 ** 28; size *= 2) { buffer.resize(size); new Uint8Array(buffer).fill(1); }
        kept.push(buffer);
      }`,
    ),
  ),
  everyDay(
    bomb(
      "makes many WebAssembly memories",
      "for (;;) { const memory = new WebAssembly.Memory({ initial: 64 }); new Uint8Array(memory.buffer).fill(1); kept.push(memory); }",
    ),
  ),
  bomb(
    "grows a WebAssembly memory",
    `for (;;) {
      const memory = new WebAssembly.Memory({ initial: 1 }); kept.push(memory);
      try { for (;;) { memory.grow(256); new Uint8Array(memory.buffer).fill(1); } } catch {}
    }`,
  ),
  bomb("fills huge arrays", "for (;;) kept.push(new Array(2 ** 24).fill(1.5));"),
  bomb(
    "makes Intl objects",
    "for (;;) kept.push(new Intl.DateTimeFormat('de'), new Intl.NumberFormat('ar'), new Intl.Collator('sv'));",
  ),
  bomb(
    "makes closures",
    "for (;;) { const held = new Array(100).fill(kept.length); kept.push(() => held); }",
  ),
  bomb("makes symbols", "for (let i = 0; ; i += 1) kept.push(Symbol('x'.repeat(1000) + i));"),
  bomb(
    "spreads a million properties, again and again",
    "const wide: any = {}; for (let i = 0; i < 1_000_000; i += 1) wide['k' + i] = i; for (;;) kept.push({ ...wide });",
  ),
  bomb(
    "makes WebAssembly tables",
    "for (;;) kept.push(new WebAssembly.Table({ initial: 10_000_000, element: 'anyfunc' }));",
  ),
  bomb(
    "throws an aggregate of a million errors",
    "throw new AggregateError(Array.from({ length: 1_000_000 }, (_, i) => ({ message: 'e' + i })), 'many');",
  ),
  bomb(
    "fills streams that nobody reads",
    "for (;;) kept.push(new ReadableStream({ start(to) { for (let i = 0; i < 100; i += 1) to.enqueue(new Uint8Array(1 << 20).fill(1)); } }));",
  ),
  bomb("recurses", "const deeper = (n: number): number => deeper(n + 1) + 1; return deeper(0);"),
  bomb(
    "recurses and catches",
    "const deeper = (): any => { try { return deeper(); } catch { return deeper(); } }; deeper();",
  ),
  bomb(
    "parses deeply nested JSON",
    "return JSON.parse('['.repeat(5_000_000) + ']'.repeat(5_000_000)).length;",
  ),
  bomb(
    "answers with a deeply nested value",
    "let value: any = {}; for (let i = 0; i < 1_000_000; i += 1) value = { value }; return value;",
  ),
  bomb(
    "takes memory in a timer, with nobody waiting",
    "setInterval(() => { kept.push(new Uint8Array(2 ** 25).fill(1)); }, 0); return 1;",
    "replied → exception or memory",
  ),
];
