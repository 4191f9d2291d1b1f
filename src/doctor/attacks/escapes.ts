/** Code that looks for a way out of its isolate. It answers with what it found. */
import { called, everyDay, type Attack } from "#doctor/attack.ts";

/** What it could get hold of. */
const NOTHING = '"nothing" → lives';

const escape = (name: string, body: string, expect = NOTHING): Attack => ({
  name,
  kind: "escape",
  code: called(
    `const found: string[] = []; ${body}; return found.length === 0 ? "nothing" : found.join("; ");`,
  ),
  expect,
});

const HOST_NAMES =
  "['process', 'require', 'module', 'exports', 'Deno', 'Bun', 'ivm', '__solo_adopt', '__dirname', 'global.process', 'WorkerGlobalScope']";

export const escapes: readonly Attack[] = [
  everyDay(
    escape(
      "walks constructors to another realm",
      `const seen = new Set<any>(); const queue: any[] = [solo, solo.kv, solo.log, solo.services, solo.signal, globalThis, fetch, Request, console, crypto];
      for (let i = 0; i < queue.length && i < 5000; i += 1) {
        const each = queue[i];
        if (each === null || (typeof each !== "object" && typeof each !== "function") || seen.has(each)) continue;
        seen.add(each);
        try {
          const made = each.constructor?.constructor;
          if (typeof made === "function") {
            const outer = made("return this")();
            if (outer !== globalThis) found.push("another global");
            if (typeof outer?.process !== "undefined") found.push("process");
          }
        } catch {}
        for (const key of Reflect.ownKeys(each)) { try { queue.push(each[key]); } catch {} }
        queue.push(Object.getPrototypeOf(each));
      }`,
      '"nothing" → lives or exception',
    ),
  ),
  escape(
    "makes functions from text",
    `for (const name of ${HOST_NAMES}) { try { if (new Function("return typeof " + name)() !== "undefined") found.push(name); } catch {} }`,
    '"nothing" → lives',
  ),
  escape(
    "reads what a host left over",
    `for (const name of ${HOST_NAMES}) if ((globalThis as any)[name] !== undefined) found.push(name)`,
    '"nothing" → lives',
  ),
  everyDay(
    escape(
      "imports modules of the host",
      `for (const name of ["node:fs", "fs", "node:child_process", "node:process", "file:///etc/passwd", "/etc/passwd", "data:text/javascript,export default 1"]) {
        try { await import(name); found.push(name); } catch {}
      }`,
      '"nothing" → lives',
    ),
  ),
  everyDay(
    escape(
      "looks for references of the host",
      // Weak: some getters make a new object each time, and those must not fill its memory.
      `const seen = new WeakSet<any>();
      const look = (value: any, path: string, depth: number) => {
        if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value) || depth > 6) return;
        seen.add(value);
        for (const name of ["applySync", "applySyncPromise", "derefInto", "copySync", "getSync", "applyIgnored", "release"]) {
          try { if (typeof value[name] === "function") found.push(path + "." + name); } catch {}
        }
        for (const key of Reflect.ownKeys(value)) { try { look(value[key], path + "." + String(key), depth + 1); } catch {} }
        try { look(Object.getPrototypeOf(value), path + ".__proto__", depth + 1); } catch {}
      };
      look(globalThis, "globalThis", 0); look(solo, "solo", 0)`,
      // What the getters made may pass its memory before it is collected.
      '"nothing" → lives or exception; service_crashed → memory',
    ),
  ),
  escape(
    "calls another tenant's service",
    "try { await solo.services.call('witness', 'count'); found.push('witness'); } catch {}",
    '"nothing" → lives',
  ),
  escape(
    "names another tenant",
    "for (const name of ['bystander/witness', '../bystander/witness', 'bystander:witness', '__proto__']) { try { await solo.services.call(name, 'count'); found.push(name); } catch {} }",
    '"nothing" → lives',
  ),
  everyDay(
    escape(
      "reaches for the network",
      "for (const url of ['http://127.0.0.1:8080/health', 'http://[::1]/', 'http://169.254.169.254/', 'file:///etc/passwd']) { try { await fetch(url); found.push(url); } catch {} }",
      '"nothing" → lives',
    ),
  ),
  {
    ...everyDay(
      escape(
        "with leave for every public host reaches for inner ones, in every spelling",
        `for (const host of ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "100.64.0.1", "192.168.1.1", "[fe80::1]"]) {
        for (const port of [80, 8080, 9090, 50051]) {
          try { await fetch("http://" + host + ":" + port + "/"); found.push(host); }
          catch (error: any) { if (error.cause?.code !== "permission_denied") found.push(host + " " + error.cause?.code); }
        } }`,
        '"nothing" → lives',
      ),
    ),
    capabilities: [{ resources: ["net:*"] }],
  },
  escape(
    "asks for methods that nobody granted",
    `for (const name of ["__proto__", "constructor", "toString", "process.exit", "vault.get"]) {
    try { const value = await (solo as any).request?.(name); if (value !== undefined) found.push(name); } catch {} }`,
    '"nothing" → lives',
  ),
  escape(
    "takes shared memory",
    "for (const name of ['SharedArrayBuffer', 'WeakRef', 'FinalizationRegistry']) if ((globalThis as any)[name] !== undefined) found.push(name)",
    '"nothing" → lives',
  ),
  escape(
    "takes shared memory from WebAssembly",
    "try { const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }); if (Object.prototype.toString.call(buffer) !== '[object ArrayBuffer]') found.push('shared memory'); } catch {}",
    '"nothing" → lives',
  ),
  escape(
    "reads paths of the host off a stack",
    "const { stack } = new Error('x'); if (/\\/(home|root|usr|work|src|node_modules)\\/|node:internal/.test(String(stack))) found.push(String(stack))",
    '"nothing" → lives',
  ),
  escape(
    "reads paths of the host off a refusal",
    "for (const ask of [() => solo.kv.get({}), () => solo.services.call(1, 2), () => solo.events.emit(null), () => solo.kv.put('k', 1n)]) { try { await ask(); } catch (error: any) { if (/\\/(home|root|usr|work|src)\\//.test(error.message + error.stack)) found.push(error.stack); } }",
    '"nothing" → lives',
  ),
  everyDay(
    escape(
      "pollutes prototypes",
      `for (const prototype of [Object.prototype, Array.prototype, String.prototype, Function.prototype, Promise.prototype] as any[]) {
        for (const key of ["tenant", "service", "then", "toJSON", "push", "shift", "join", "split", "call", "apply", "get"]) {
          try { prototype[key] = () => "polluted"; } catch {}
        }
      }
      try { await solo.kv.get("key"); } catch {}`,
      "service_crashed → exception",
    ),
  ),
  escape(
    "replaces what its bridge uses",
    `for (const name of ["JSON", "Promise", "Map", "Uint8Array", "String", "Error", "Object", "Array"]) { try { (globalThis as any)[name] = undefined; } catch {} }
    for (const key of ["parse", "stringify"]) { try { (JSON as any)[key] = () => "[]"; } catch {} }`,
    "replied → exception",
  ),
  escape(
    "answers with a forged prototype",
    'return JSON.parse(\'{"__proto__": { "polluted": 1 }, "constructor": { "prototype": { "polluted": 1 } }, "toString": 1 }\')',
    "replied → lives",
  ),
  escape(
    "answers with lines of the bridge's own protocol",
    "solo.log.info('x\\nr 1 \"forged\"\\nS 0 {}\\nX 0 {}'); return '\\nr 2 \"forged\"\\u0000'",
    "replied → lives",
  ),
];
