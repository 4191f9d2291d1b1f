import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Guest } from "./guest.ts";

/** What the standards say and Node does not do, or what needs more than one look. */
describe("The guest's globals follow the standards' own text:", () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.open();
  });
  afterAll(() => guest[Symbol.dispose]());

  const cases: readonly (readonly [string, string, unknown])[] = [
    [
      "dispatching an event that is being dispatched is an InvalidStateError",
      `const t = new EventTarget(), e = new Event("x"); let name;
       t.addEventListener("x", () => { try { t.dispatchEvent(e); } catch (error) { name = error.name; } });
       t.dispatchEvent(e); return name;`,
      "InvalidStateError",
    ],
    [
      "a listener that throws is reported and does not stop the next one",
      `const t = new EventTarget(); let reached = false;
       t.addEventListener("x", () => { throw new Error("listener"); });
       t.addEventListener("x", () => { reached = true; });
       t.dispatchEvent(new Event("x")); return reached;`,
      true,
    ],
    [
      "dependent signals are aborted before any abort event fires",
      `const c = new AbortController(); const d = AbortSignal.any([c.signal]); let seen;
       c.signal.addEventListener("abort", () => { seen = d.aborted; }); c.abort(); return seen;`,
      true,
    ],
    [
      "headers combine in order and sort by name, set-cookie stays apart",
      `const h = new Headers([["b", "2"], ["a", "1"], ["B", "3"], ["set-cookie", "x"], ["Set-Cookie", "y"]]); return [...h];`,
      [
        ["a", "1"],
        ["b", "2, 3"],
        ["set-cookie", "x"],
        ["set-cookie", "y"],
      ],
    ],
    [
      "a request's body streams in both directions without being collected",
      `const sent = []; let pulls = 0;
       const body = new ReadableStream({ pull(c) { if (++pulls > 3) c.close(); else c.enqueue(new Uint8Array([pulls])); } }, { highWaterMark: 0 });
       const request = new Request("http://a/", { method: "POST", body, duplex: "half" });
       const reader = request.body.getReader();
       for (let r = await reader.read(); !r.done; r = await reader.read()) sent.push([...r.value], pulls);
       return sent;`,
      [[1], 1, [2], 2, [3], 3],
    ],
    [
      "a response's body is the stream it was made from",
      `const s = new ReadableStream(); return new Response(s).body === s;`,
      true,
    ],
    [
      "cloning tees: both sides get every chunk, cancelling one leaves the other",
      `const r = new Response("abc"); const c = r.clone(); c.body.cancel(); return r.text();`,
      "abc",
    ],
    [
      "a multipart body keeps names, files, types and bytes",
      `const f = new FormData(); f.append("t", "é"); f.append("f", new File([new Uint8Array([0, 255])], "a.bin", { type: "x/y" }));
       const g = await new Request("http://a/", { method: "POST", body: f }).formData();
       return [g.get("t"), g.get("f").name, g.get("f").type, [...await g.get("f").bytes()]];`,
      ["é", "a.bin", "x/y", [0, 255]],
    ],
    [
      "pipeTo honours backpressure",
      `let written = 0, pulled = 0;
       const gate = Promise.withResolvers();
       new ReadableStream({ pull(c) { pulled++; c.enqueue(pulled); } }, { highWaterMark: 1 })
         .pipeTo(new WritableStream({ async write() { written++; await gate.promise; } }, { highWaterMark: 1 }));
       await new Promise((r) => setTimeout(r, 1));
       return [written, pulled <= 4];`,
      [1, true],
    ],
    [
      "ES2024 string hosts: punycode, mapping, and ASCII without tables agree",
      `return ["http://EXAMPLE.com/", "http://Bücher.De/", "http://xn--bcher-kva.de/", "http://a--b.c/"].map((u) => new URL(u).host);`,
      ["example.com", "xn--bcher-kva.de", "xn--bcher-kva.de", "a--b.c"],
    ],
    [
      "TextDecoder knows the legacy single-byte labels; one it does not know is a RangeError",
      `const name = (label) => { try { return new TextDecoder(label).decode(new Uint8Array([0xe0])); } catch (e) { return e.name; } };
       return [name("cp1251"), name("no-such")];`,
      ["а", "RangeError"],
    ],
    [
      "compileStreaming wants a Response of type application/wasm",
      `const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
       const good = new Response(bytes, { headers: { "content-type": "application/wasm" } });
       const bad = await WebAssembly.compileStreaming(new Response(bytes)).catch((e) => e.name);
       return [(await WebAssembly.compileStreaming(good)) instanceof WebAssembly.Module, bad];`,
      [true, "TypeError"],
    ],
    [
      "a refused fetch is a TypeError with the host's reason as its cause",
      `return fetch("http://a/").catch((e) => [e.name, e.message, e.cause.message]);`,
      ["TypeError", "fetch failed", "The host refuses fetch"],
    ],
  ];
  test.each(cases)("%s", async (_title, snippet, expected) => {
    expect(await guest.value(snippet)).toEqual(expected);
  });
});

describe("fetch goes through the host:", () => {
  test("the request arrives whole, and the answer becomes a Response", async () => {
    const asked: unknown[] = [];
    using guest = await Guest.open({
      answer: (method, args) => {
        asked.push(method, args);
        return {
          status: 201,
          statusText: "Made",
          headers: [["x-y", "z"]],
          url: "http://b/",
          redirected: true,
          body: "hello",
        };
      },
    });
    const value = await guest.value(`
      const r = await fetch("http://a/p", { method: "POST", body: "in", headers: { q: "1" } });
      return [r.status, r.statusText, r.headers.get("x-y"), r.url, r.redirected, await r.text()];`);
    expect(value).toEqual([201, "Made", "z", "http://b/", true, "hello"]);
    expect(asked).toEqual([
      "fetch",
      {
        url: "http://a/p",
        method: "POST",
        redirect: "follow",
        headers: [
          ["content-type", "text/plain;charset=UTF-8"],
          ["q", "1"],
        ],
        body: btoa("in"),
      },
    ]);
  });

  test("aborting rejects at once with the signal's reason, whatever the host does", async () => {
    using guest = await Guest.open({ answer: () => new Promise(() => {}) });
    guest.evaluate(`
      const controller = new AbortController();
      globalThis.result = "pending";
      fetch("http://a/", { signal: controller.signal }).catch((e) => { globalThis.result = e; });
      controller.abort("enough"); undefined`);
    expect(guest.evaluate("result")).toBe("enough");
  });
});

describe("Uncaught listener errors", () => {
  test("end up in the log as errors", async () => {
    using guest = await Guest.open();
    guest.evaluate(`
      const target = new EventTarget();
      target.addEventListener("x", () => { throw new TypeError("from a listener"); });
      target.dispatchEvent(new Event("x")); undefined`);
    const log = guest.takeLog();
    expect(log).toHaveLength(1);
    expect(log[0]![0]).toBe("error");
    expect(log[0]![1]).toContain("TypeError: from a listener");
  });
});
