/** Values that nobody would send, wherever the host takes one. */
import { called, everyDay, type Attack } from "#doctor/attack.ts";

/** Asks for each of these, and answers with the codes that it heard, or that it got through. */
const asks = (name: string, requests: readonly string[], expect: string): Attack => ({
  name,
  kind: "value",
  code: called(
    `const heard = new Set<string>();
    for (const ask of [${requests.map((each) => `() => ${each}`).join(", ")}]) {
      try { await ask(); heard.add("done"); } catch (error: any) { heard.add(error.code ?? error.name); }
    }
    return [...heard].sort().join(" ");`,
  ),
  expect,
});

const value = (name: string, body: string, expect: string): Attack => ({
  name,
  kind: "value",
  code: called(body),
  expect,
});

const HOSTILE = `{ toString() { for (;;); }, valueOf() { for (;;); }, toJSON() { for (;;); } } as any`;

export const values: readonly Attack[] = [
  asks(
    "names keys of kv with what is no name",
    [
      "solo.kv.get('')",
      "solo.kv.get('k'.repeat(10_000))",
      "solo.kv.get(undefined as any)",
      "solo.kv.get(Symbol('x') as any)",
      "solo.kv.get(['a'] as any)",
      "solo.kv.get(new Proxy({}, {}) as any)",
      "solo.kv.put(null as any, 1)",
      "solo.kv.delete(7 as any)",
      "solo.kv.list({ limit: Infinity })",
      "solo.kv.list({ limit: -1 })",
      "solo.kv.list({ limit: 1.5 })",
    ],
    '"invalid_argument" → lives',
  ),
  asks(
    "names keys of kv after the prototypes of its host",
    [
      "solo.kv.put('__proto__', { polluted: 1 })",
      "solo.kv.put('constructor', JSON.parse('{\"__proto__\":{\"polluted\":1}}'))",
      "solo.kv.put('a\\0b', 1)",
      "solo.kv.put('../../neighbour', 1)",
      "solo.kv.list({ prefix: '__' })",
    ],
    '"done invalid_argument" → lives',
  ),
  value(
    "tells keys of kv apart by halves of characters",
    "await solo.kv.put('\\ud800', 1); await solo.kv.put('\\udc00', 2); await solo.kv.put('\\ufffd', 3); return [await solo.kv.get('\\ud800'), await solo.kv.get('\\udc00'), await solo.kv.get('\\ufffd')].join();",
    "invalid_argument → lives",
  ),
  asks(
    "writes batches that are no lists",
    [
      "solo.kv.batch({ length: 1e9 } as any)",
      "solo.kv.batch([null] as any)",
      "solo.kv.batch([{ put: 'a', delete: 'b' }] as any)",
      "solo.kv.batch(Array(501).fill({ delete: 'a' }))",
      "solo.kv.batch([{ put: 'a', value: 1, ifVersion: -1 }] as any)",
      "solo.kv.batch([{ put: 'a', value: 1, ifVersion: 2 ** 60 }] as any)",
    ],
    '"invalid_argument" → lives',
  ),
  asks(
    "keeps a value larger than any",
    ["solo.kv.put('large', 'x'.repeat(2_000_000))"],
    '"payload_too_large" → lives',
  ),
  asks(
    "sets timers at times that do not exist",
    ["NaN", "Infinity", "-1", "-Infinity", "2 ** 40", "'5'", "null", "{ valueOf: () => 5 }", "[5]"]
      .map((ms) => `solo.after(${ms} as any, 1)`)
      .concat("solo.every(0, 1)", "solo.every(9, 1)", "solo.every(-1, 1)"),
    '"invalid_argument" → lives',
  ),
  asks(
    "gives a timer a message of a megabyte",
    ["solo.after(1000, 'x'.repeat(1_000_000))"],
    '"payload_too_large" → lives',
  ),
  value(
    "calls its host with values that loop when they are told",
    `await solo.kv.put("k", ${HOSTILE}); return 1;`,
    "deadline_exceeded → timeout",
  ),
  value(
    "calls a service by a name that loops when it is read",
    `await solo.services.call(${HOSTILE}, "count"); return 1;`,
    "deadline_exceeded → timeout",
  ),
  asks(
    "calls services by names that are none",
    [
      "''",
      "'x'.repeat(10_000)",
      "'\\u202egnp'",
      "'ne\\u0456ghbour'",
      "'neighbour\\0'",
      "'neighbour/..'",
      "7 as any",
      "null as any",
      "['neighbour'] as any",
      "'__proto__'",
      "'constructor'",
    ].map((target) => `solo.services.call(${target}, "count")`),
    '"service_not_found" → lives',
  ),
  asks(
    "calls handlers by names that are none",
    [
      "'__proto__'",
      "'constructor'",
      "'toString'",
      "'hasOwnProperty'",
      "''",
      "'count.x'",
      "'\\u0000'",
    ].map((name) => `solo.services.call("neighbour", ${name})`),
    '"handler_not_found" → lives',
  ),
  everyDay(
    asks(
      "calls handlers by names without end",
      [
        "solo.services.call('neighbour', 'x'.repeat(5_000_000))",
        "solo.services.call('neighbour', {} as any)",
      ],
      '"invalid_argument" → lives',
    ),
  ),
  asks(
    "calls its neighbour with forty thousand arguments",
    [
      "solo.services.call('neighbour', 'count', ...Array(40_000).fill(0))",
      "(solo.services.call as any).apply(null, ['neighbour', 'count', ...Array(65).fill(0)])",
    ],
    '"invalid_argument" → lives',
  ),
  asks(
    "emits events that are none",
    [
      "solo.events.emit(7 as any)",
      "solo.events.emit('x', [] as any)",
      "solo.events.emit('x', 'text' as any)",
      "solo.events.emit('x', null as any)",
      "solo.events.emit('', {})",
      "solo.events.emit('x'.repeat(100_000), {})",
      "solo.events.emit('a\\nb', {})",
      "solo.events.emit('\\u001b[2J', {})",
    ],
    '"invalid_argument" → lives',
  ),
  asks(
    "emits an event of eight megabytes",
    ["solo.events.emit('large', { text: 'x'.repeat(8_000_000) })"],
    '"payload_too_large" → lives; deadline_exceeded → lives or timeout',
  ),
  value(
    "emits events in another's name",
    `await solo.events.emit("service.service_killed", { tenant_id: "bystander", service_id: "witness", __proto__: null });
     await solo.events.emit("capability_revoked", JSON.parse('{"__proto__":{"x":1},"tenant_id":"bystander"}')); return 1;`,
    "replied → lives",
  ),
  asks(
    "fetches what is no address",
    [
      "fetch('')",
      "fetch('http://')",
      "fetch('javascript:1')",
      "fetch('http://a b/')",
      "fetch('http://user:pass@example.com:99999/')",
      "fetch({ toString() { throw new RangeError('mine'); } } as any)",
      "fetch(Symbol('x') as any)",
    ],
    '"RangeError TypeError" → lives',
  ),
  asks(
    "makes requests whose options fight back",
    [
      "fetch('http://example.com', { get method(): any { throw new RangeError('mine'); } })",
      "fetch('http://example.com', { method: 'CONNECT' })",
      "fetch('http://example.com', { method: 'GET', body: 'x' })",
      "fetch('http://example.com', { headers: { 'a\\nb': 'c' } })",
      "fetch('http://example.com', { headers: { a: 'b\\r\\nx: y' } })",
      "fetch('http://example.com', { headers: [['a']] as any })",
      "fetch('http://example.com', { signal: {} as any })",
    ],
    '"RangeError TypeError" → lives',
  ),
  value(
    "clones what detaches, repeats and refers to itself",
    `const heard: string[] = [];
     const ring: any = {}; ring.ring = ring; heard.push(String(structuredClone(ring).ring !== ring));
     for (const bad of [() => 1, Symbol("x"), new WeakMap(), Promise.resolve()]) { try { structuredClone(bad); heard.push("cloned"); } catch (error: any) { heard.push(error.name); } }
     const buffer = new ArrayBuffer(8); structuredClone(buffer, { transfer: [buffer] }); heard.push(String(buffer.byteLength));
     try { structuredClone(buffer, { transfer: [buffer, buffer] }); heard.push("twice"); } catch (error: any) { heard.push(error.name); }
     return heard.join(" ");`,
    '"true DataCloneError DataCloneError DataCloneError DataCloneError 0 DataCloneError" → lives',
  ),
  value(
    "clones what is nested a million deep",
    "let deep: any = {}; for (let i = 0; i < 1_000_000; i += 1) deep = { deep }; structuredClone(deep); return 1;",
    "deadline_exceeded or service_crashed → timeout or exception",
  ),
  value(
    "clones an array of four billion holes",
    "structuredClone(new Array(2 ** 32 - 2)); return 1;",
    "deadline_exceeded or service_crashed or replied → timeout or memory or exception or lives",
  ),
  value(
    "answers with keys of prototypes, and halves of characters",
    `return JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":{"b":2}},"\\\\ud800":"\\\\udfff","toJSON":1}');`,
    "replied → lives",
  ),
  value(
    "answers with what is no JSON",
    "return [undefined, () => 1, Symbol('x'), NaN, -0, new Map([[1, 2]]), new Date(NaN)];",
    "replied → lives",
  ),
  value("answers with a BigInt", "return 1n;", "service_crashed → exception"),
  value(
    "answers with a ring",
    "const ring: any = {}; ring.ring = ring; return ring;",
    "service_crashed → exception",
  ),
  value(
    "throws an error that is its own cause, in a ring",
    "const a: any = new Error('a'); const b: any = new Error('b', { cause: a }); a.cause = b; throw a;",
    "service_crashed → exception",
  ),
  value(
    "throws an error with a cause, a hundred thousand deep",
    "let error: any = new Error('x'); for (let i = 0; i < 100_000; i += 1) error = new Error('x', { cause: error }); throw error;",
    "deadline_exceeded or service_crashed → timeout or exception",
  ),
  value(
    "throws a proxy that throws, whatever it is asked",
    "throw new Proxy({}, { get() { throw new Error('no'); }, getPrototypeOf() { throw new Error('no'); }, has() { throw new Error('no'); } });",
    "service_crashed → exception",
  ),
  value(
    "throws what cannot be a text",
    "throw Object.create(null);",
    "service_crashed → exception",
  ),
  value("throws a symbol", "throw Symbol('mine');", "service_crashed → exception"),
  value(
    "keeps every frame of every stack",
    "(Error as any).stackTraceLimit = Infinity; const deeper = (n: number): any => { if (n === 0) throw new Error('x'); return deeper(n - 1) + 1; }; deeper(5000);",
    "service_crashed → exception",
  ),
  value(
    "throws a refusal in its host's name",
    "throw Object.assign(new Error('x'), { name: 'ServiceError', code: { toString() { for (;;); } } });",
    "service_crashed → exception",
  ),
  value(
    "throws a refusal with a code of a megabyte",
    "throw Object.assign(new Error('y'.repeat(1_000_000)), { name: 'ServiceError', code: 'x'.repeat(1_000_000) });",
    "service_error → lives",
  ),
  value(
    "logs what drives a terminal",
    "solo.log.info('\\u001b[2J\\u001b]0;owned\\u0007\\u202e\\r\\nforged: a line\\u0000\\u009b31m'); console.log('%c%s%o%d', 'x', { toString() { return '\\u001b[1A'; } }); return 1;",
    "replied → lives",
  ),
  value(
    "changes what it was given",
    `for (const each of [solo, solo.kv, solo.env, solo.services, solo.events]) { try { (each as any).tenant = "bystander"; (each as any).get = () => 1; Object.setPrototypeOf(each, {}); } catch {} }
     return solo.tenant;`,
    '"mallory" → lives',
  ),
];
