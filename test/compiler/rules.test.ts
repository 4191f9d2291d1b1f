/** What each rule sees and what it leaves alone; the span is what stands between « and ». */
import { describe, expect, test } from "vitest";
import { compile } from "#compiler/compile.ts";
import { Places } from "#compiler/position.ts";

function analyse(source: string) {
  const { diagnostics, analysis } = compile({
    files: { "index.ts": `${source}\nexport default { calls: {} };` },
    entry: "index.ts",
    analyse: true,
  });
  expect(diagnostics).toEqual([]);
  return analysis!;
}

/** In the default export, where growth is looked for. */
const handler = (body: string) =>
  `export default { calls: { add(solo: any, x: any) { ${body} } } };`;
const entry = (source: string) =>
  compile({ files: { "index.ts": source }, entry: "index.ts", analyse: true }).analysis!.findings;

/** Put together here, so that this file holds none. */
const key = (...parts: string[]) => parts.join("");

const FOUND: Record<string, readonly string[]> = {
  endless_loop: [
    "«while (true)» { work(); }",
    "«for (;;)» {}",
    "«for (;;);»",
    "«do { work(); } while (!0);»",
    "«while (1)» { for (const x of [1]) { if (x) break; } }",
    "«while (true)» { switch (x) { case 1: break; } }",
    "again: «while (true)» { for (;x;) continue again; }",
    "«while (true)» { const later = async () => { await 1; return; }; }",
    "const f = function* () { «while (true)» { () => { return 1; }; } };",
  ],
  catastrophic_regexp: [
    "x = «/^(a+)+$/»;",
    "x = «/(a|a)*b/»;",
    "x = «/(a|aa)+$/»;",
    "x = «/^([a-z]+)*@/»;",
    "x = «/(\\w+\\s?)*$/»;",
    "x = «/(x+x+)+y/»;",
    "x = «/(.*)*x/»;",
    "x = «/(\\w|\\d)+$/»;",
    "x = «/([a-z]|[A-C])+!/i»;",
    "x = «/^(\\d{1,3})+:$/»;",
    'x = «new RegExp("(a*)*b")»;',
    "x = «RegExp(`^(?:a+){20,}$`)»;",
  ],
  blocking_top_level_await: [
    'const x = «await fetch("/x")»;',
    "«await new Promise(() => {})»;",
    "if (x) { const y = «await Promise.race([new Promise((r) => setTimeout(r, 9)), z])»; }",
    "«for await (const x of y) »{}",
  ],
  missing_await: [
    'const f = (solo) => { «solo.kv.put("k", 1)»; };',
    'const f = (solo) => «solo.kv.get("n")» + 1;',
    'const f = (solo) => `${«solo.kv.get("k")»}`;',
    'const f = async (solo) => «solo.kv.get("n")».length;',
    'const f = async (solo) => { if (x) «solo.publish("t", 1)»; };',
  ],
  dynamic_code: [
    "«eval(x)»;",
    "«(0, eval)(x)»;",
    "«globalThis.eval(x)»;",
    '«new Function("a", "return a")»;',
    '«Function("return this")»();',
    '«setTimeout("work()", 5)»;',
    "«setInterval(`work(${x})`, 5)»;",
    '«[].constructor.constructor("return 1")»;',
  ],
  dynamic_import: [
    "try { «import(x)»; } catch {}",
    "x = «import(`./${x}.js`)».catch(() => 1);",
    'if (x) «import("node:fs")»;',
  ],
  prototype_pollution: [
    "«x.__proto__.admin = true»;",
    '«x["__proto__"]["admin"] = true»;',
    "«x.constructor.prototype.admin = true»;",
    "«Object.prototype.admin = true»;",
    '«Object.defineProperty(Object.prototype, "x", {})»;',
    "const merge = (a: any, b: any) => { for (const k in b) { if (a[k]) merge(a[k], b[k]); else «a[k]» = b[k]; } };",
    'function set(o: any, path: string, v: any) { let at = o; const keys = path.split("."); const last = keys.pop()!; for (const k of keys) at = at[k]; «at[last]» = v; }',
  ],
  builtin_prototype: ["«Array.prototype.last = work»;", "«String.prototype.trim = work»;"],
  hard_coded_secret: [
    `const x = «"${key("AK", "IA", "QX7ZJ2M4T6W3RLPN")}"»;`,
    `const x = «"${key("gh", "p_", "x9Kq2LmZ7vTb4RwYp8NsD3fGh6JcA1eU5tQi")}"»;`,
    `const x = «"${key("xo", "xb-", "2048273645-9182736450-aB3dE5fG7hJ9kL1m")}"»;`,
    `const x = «"${key("sk", "_live_", "4eC39HqLyjWDarjtT1zdp7dc")}"»;`,
    `const x = «"${key("sk-", "ant-", "api03-Zx8Kq2LmZ7vTb4RwYp8NsD3f")}"»;`,
    `const x = «"${key("AI", "za", "SyD3x9Kq2LmZ7vTb4RwYp8NsD3fGh6JcA1e")}"»;`,
    `const x = «"${key("-----BEGIN ", "PRIVATE KEY-----\\\\n", "MIIEvQIBADANBgkqhkiG9w0BAQ")}"»;`.replace(
      "\\\\n",
      "\\n",
    ),
    `const x = «"${key("eyJ", "hbGciOiJIUzI1NiJ9.eyJ", "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN")}"»;`,
    'const x = «"postgres://app:q7Vt2mZ9wX@db.internal/app"»;',
    'const apiKey = «"q7Vt2mZ9wXk4Rb8LpN3s"»;',
    'const c = { client_secret: «"9f86d081884c7d659a2feaa0c55ad015"» };',
    "x.authToken = «`q7Vt2mZ9wXk4Rb8LpN3s`»;",
  ],
  node_api: [
    "const x = «process».env.X;",
    'const fs = «require»("fs");',
    'const x = «Buffer».from("x");',
    "«setImmediate»(work);",
    "x = «__dirname»;",
  ],
  undeclared_network: [
    'fetch(«"https://api.example.com/v1"»);',
    "fetch(«`https://api.example.com/${x}`»);",
    'const API = "https://api.example.com"; fetch(«API + "/v1"»);',
    'fetch(«new URL("/v1", "http://10.0.0.1:8080")»);',
    'globalThis.fetch(«new Request("https://API.example.com")»);',
  ],
  undeclared_secret: ['const x = «solo.secrets.get("stripe")»;'],
  undeclared_service: ['const x = «solo.services.call("billing", "charge")»;'],
};

const LEFT_ALONE: Record<string, readonly string[]> = {
  endless_loop: [
    "const f = () => { while (true) { if (x) return; } };",
    "for (;;) { if (x) break; }",
    "for (;;) { throw x; }",
    "const f = async () => { for (;;) await x; };",
    "const f = function* () { for (;;) yield 1; };",
    "out: for (;;) { for (;;) { break out; } }",
    "out: for (const a of b) { for (;;) { continue out; } }",
    "while (x) {}",
    "for (let i = 0; i < 9; i += 1) {}",
    "do {} while (x);",
  ],
  catastrophic_regexp: [
    "x = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*)$/;",
    "x = /^[\\w.]+@[\\w.]+$/;",
    "x = /\\s+$/;",
    "x = /(a+)+/;",
    "x = /(?:ab|cd)*e/;",
    'x = /"(?:[^"\\\\]|\\\\.)*"/;',
    "x = /^(?:\\d{4}-)*$/;",
    "x = /^(?:a{2})+$/;",
    "x = /\\/\\*(?:[^*]|\\*(?!\\/))*\\*\\//;",
    "x = /^(\\d{1,3}\\.){3}\\d{1,3}$/;",
    "x = /^(?:(?:[a-z]+):)+$/;",
    'x = new RegExp(x + "(a+)+$");',
    'x = new RegExp("(");',
  ],
  blocking_top_level_await: [
    'const f = async () => await fetch("/x");',
    "await crypto.subtle.digest(x, y);",
    "await WebAssembly.compile(x);",
  ],
  missing_await: [
    "async (solo) => { await solo.kv.put(k, 1); };",
    "(solo) => solo.kv.put(k, 1);",
    "(solo) => { void solo.publish(t, 1); };",
    "(solo) => { solo.publish(t, 1).catch(() => {}); };",
    "async (solo) => { const later = solo.kv.get(k); return await later; };",
    "(cache) => { cache.kv.put(k, 1); };",
  ],
  dynamic_code: [
    "const f = (eval_: any) => eval_(x);",
    "const f = (Function: any) => Function(x);",
    "setTimeout(() => work(), 5);",
    "setTimeout(work, 5);",
    "x.eval(y);",
    "x.constructor.name;",
  ],
  dynamic_import: ['type Fs = typeof import("node:fs");', "const text = 'import(x)';"],
  prototype_pollution: [
    "x.prototype.y = 1;",
    "class A { m() { (this as any).constructor.prototype.x = 1; } }",
    "x.__proto__ = y;",
    "const merge = (a: any, b: any) => { for (const k in b) { if (!Object.hasOwn(a, k)) continue; merge(a[k], b[k]); a[k] = 1; } };",
    "const copy = (a: any, b: any) => { const out: any = { ...a }; for (const k in b) out[k] = copy(out[k], b[k]); return out; };",
    'const set = (o: any, path: string) => { for (const k of path.split(".")) { if (k === "__proto__") return; o = o[k]; o[k] = 1; } };',
    "let node = x; for (const c of text) { node = node[c]; node[c] = {}; }",
  ],
  builtin_prototype: ["class Array {} (Array.prototype as any).x = 1;", "Foo.prototype.x = 1;"],
  hard_coded_secret: [
    'const token = "replace-me-with-your-token";',
    'const apiKey = "your_api_key_goes_here_123";',
    'const tokenId = "550e8400-e29b-41d4-a716-446655440000";',
    'const token = "550e8400-e29b-41d4-a716-446655440000";',
    'const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";',
    'const TOKEN = "application-token-header-2";',
    'const password = "userPasswordField";',
    'const secret = "https://example.com/a1b2c3d4e5f6";',
    'const x = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";',
    'const x = "postgres://user:password@localhost/app";',
    'const x = "sk-learn is a library for machine learning, they say";',
    `const x = "${key("AK", "IAIOSFODNN7", "EXAMPLE")}";`,
  ],
  node_api: [
    'if (typeof process !== "undefined") process.exit(1);',
    "const require = (x: any) => x; require(1);",
    "x.process.y;",
    "const y = { process: 1 };",
    "function f(Buffer: any) { return Buffer.from(1); }",
  ],
  undeclared_network: [
    "fetch(x);",
    "fetch(`https://${host}/v1`);",
    "fetch(`https://api.${domain}/`);",
    'fetch("/relative");',
    'const fetch = (x: any) => x; fetch("https://api.example.com");',
    'x.fetch("https://api.example.com/");',
  ],
  undeclared_secret: ["x = solo.secrets.get(name);", 'cache.get("stripe");'],
  undeclared_service: ["x = solo.services.call(name);", 'x.call("billing");'],
};

describe.each(Object.entries(FOUND))("%s", (code, sources) => {
  test.each(sources)("is found in %s", (marked) => {
    const start = marked.indexOf("«");
    const source = marked.replace(/[«»]/g, "");
    const { findings } = analyse(source);
    expect(findings.map((finding) => finding.code)).toEqual([code]);
    const { line, column, end_line, end_column } = new Places(source).of(
      start,
      marked.indexOf("»") - 1,
    );
    expect(findings[0]).toMatchObject({ line, column, end_line, end_column });
  });
});

describe.each(Object.entries(LEFT_ALONE))("%s", (_code, sources) => {
  test.each(sources)("leaves %s alone", (source) => {
    expect(analyse(source).findings).toEqual([]);
  });
});

describe("unbounded_growth", () => {
  test.each([
    ["const list: any[] = [];", "list.push(x);"],
    ["const seen = new Set();", "seen.add(x);"],
    ["const cache = new Map();", "if (!cache.has(x)) cache.set(x, 1);"],
    ["const cache: any = {};", "cache[x] = 1;"],
    ["const list: any[] = []; const keep = (x: any) => list.push(x);", "keep(x);"],
    ["", "solo.state.lines.push(x);"],
    ["const list: any[] = [];", "list.push(x); return JSON.stringify(list.map(String));"],
  ])("is found: %s … %s", (before, body) => {
    expect(entry(`${before}\n${handler(body)}`).map(({ code }) => code)).toEqual([
      "unbounded_growth",
    ]);
  });

  test.each([
    ["const list: any[] = [];", "list.push(x); if (list.length > 9) list.shift();"],
    ["const list: any[] = [];", "list.push(x); trim(list);"],
    ["let list: any[] = [];", "list.push(x); list = list.slice(-9);"],
    ["const cache = new Map();", "if (cache.size < 9) cache.set(x, 1);"],
    ["const cache = new Map();", "cache.set(x, 1); cache.delete(x);"],
    ["const cache: any = {};", "cache[x] = 1; delete cache[x];"],
    ["const list: any[] = []; list.push(1);", "return list;"],
    ["", "const list: any[] = []; list.push(x); return list;"],
    ["", "solo.state.items.set(x, 1);"],
    ["", "solo.state.lines.push(x); solo.state.lines = [];"],
  ])("leaves alone: %s … %s", (before, body) => {
    expect(entry(`${before}\n${handler(body)}`)).toEqual([]);
  });
});

describe("a suppression", () => {
  test("holds for its own line or for the next line of code, and says why", () => {
    const { findings, allowed } = analyse(
      "eval(x); // solo-allow dynamic_code: one\n/* solo-allow dynamic_code: two */\n// more\n\neval(x);\neval(x);",
    );
    expect(allowed.map(({ line, reason }) => [line, reason])).toEqual([
      [1, "one"],
      [5, "two"],
    ]);
    expect(findings.map(({ line }) => line)).toEqual([6]);
  });

  test.each([
    "// solo-allow dynamic_code",
    "// solo-allow no_rule: why",
    "// solo-allow dynamic_code:",
  ])("allows nothing as %s", (comment) => {
    const codes = analyse(`${comment}\neval(x);`).findings.map(({ code }) => code);
    expect(codes).toEqual(["bad_allow", "dynamic_code"]);
  });
});

describe("what is hostile", () => {
  test("is bounded in steps, and what was not looked at is said", () => {
    const source = "for (;;) ".repeat(3000) + ";";
    expect(analyse(source).findings.map(({ code }) => code)).toContain("analysis_incomplete");
  });

  test("is bounded in size", () => {
    const { findings } = analyse(`const x = "${"y".repeat(2_000_000)}";`);
    expect(findings.map(({ code }) => code)).toEqual(["analysis_incomplete"]);
  });

  test("gives at most fifty findings", () => {
    expect(analyse("eval(x);\n".repeat(500)).findings).toHaveLength(50);
  });

  test("is never shown a secret again, in any excerpt", () => {
    const secret = "q7Vt2mZ9wXk4Rb8LpN3s";
    const { findings } = analyse(`const apiKey = "${secret}"; eval(x);`);
    expect(findings).toHaveLength(2);
    expect(JSON.stringify(findings)).not.toContain(secret.slice(0, 8));
    expect(JSON.stringify(findings)).toContain(secret.slice(0, 4));
  });

  test.each([
    `/${"(a|b|ab)*".repeat(60)}c/`,
    `/(${"(a*)*".repeat(100)})*c/`,
    `/${"(".repeat(900)}a${")+".repeat(900)}b/`,
  ])("as an expression is judged or given up: %.30s", (pattern) => {
    expect(() => analyse(`x = ${pattern};`)).not.toThrow();
  });
});
