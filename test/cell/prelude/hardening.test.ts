import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declaresSharedMemory } from "#cell/prelude/guest/wasm-shared.ts";
import { Guest } from "./guest.ts";

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const module = (...sections: number[][]): Uint8Array =>
  new Uint8Array([...HEADER, ...sections.flat()]);
/** (memory 1 2), with the shared flag or without. */
const memorySection = (flags: number): number[] => [5, 4, 1, flags, 1, 2];
/** (import "m" "m" (memory 1 2)) */
const importSection = (flags: number): number[] => [2, 9, 1, 1, 0x6d, 1, 0x6d, 2, flags, 1, 2];
const customSection = [0, 3, 1, 0x78, 9];

describe("The guest is without what the engine would let it misuse:", () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.open();
  });
  afterAll(() => guest[Symbol.dispose]());

  test("no SharedArrayBuffer, WeakRef or FinalizationRegistry, also through prototypes", () => {
    expect(
      guest.evaluate(`[typeof SharedArrayBuffer, typeof WeakRef, typeof FinalizationRegistry, typeof Atomics.wait,
        typeof Atomics.waitAsync, typeof WebAssembly.promising, typeof WebAssembly.Suspending].join()`),
    ).toBe(Array(7).fill("undefined").join());
  });

  test("no shared WebAssembly.Memory, whatever a getter answers the second time", async () => {
    for (const descriptor of [
      "{ initial: 1, maximum: 1, shared: true }",
      "{ initial: 1, maximum: 1, get shared() { return (globalThis.asked = (globalThis.asked ?? 0) + 1) > 1; } }",
      "new Proxy({ initial: 1, maximum: 1 }, { get: (t, k) => k === 'shared' ? 1 : t[k] })",
    ]) {
      const { value, error } = await guest.run(
        `return Object.prototype.toString.call(new WebAssembly.Memory(${descriptor}).buffer);`,
      );
      expect(error ?? value).toSatisfy(
        (each) => each === "TypeError" || each === "[object ArrayBuffer]",
      );
    }
    expect(
      guest.evaluate("new WebAssembly.Memory({ initial: 1 }).constructor === WebAssembly.Memory"),
    ).toBe(true);
  });

  test.each([
    ["declares", module(memorySection(3))],
    ["imports", module(importSection(3))],
  ])("no module that %s a shared memory, by any entry point", async (_verb, bytes) => {
    const source = `new Uint8Array([${bytes.join()}])`;
    for (const attempt of [
      `new WebAssembly.Module(${source})`,
      `await WebAssembly.compile(${source})`,
      `await WebAssembly.instantiate(${source}, {})`,
    ]) {
      expect(await guest.run(`${attempt};`)).toMatchObject({ error: "CompileError" });
    }
  });

  test("no shared memory through a function as descriptor, Object.prototype, or the original class", async () => {
    for (const attempt of [
      `return new WebAssembly.Memory(Object.assign(() => {}, { initial: 1, maximum: 1, shared: true }));`,
      `Object.prototype.shared = true; try { return Object.prototype.toString.call(new WebAssembly.Memory({ initial: 1, maximum: 1 }).buffer); } finally { delete Object.prototype.shared; }`,
      `return new (Object.getPrototypeOf(WebAssembly.Memory))({ initial: 1, maximum: 1, shared: true });`,
      `return new (class extends WebAssembly.Memory {})({ initial: 1, maximum: 1, shared: true });`,
      `return new (new WebAssembly.Memory({ initial: 1 }).constructor)({ initial: 1, maximum: 1, shared: true });`,
    ]) {
      const { value, error } = await guest.run(attempt);
      expect(error ?? value, attempt).not.toBe("[object SharedArrayBuffer]");
      expect(error === undefined ? value : "refused").toSatisfy(
        (each) => each === "refused" || each === "[object ArrayBuffer]",
      );
    }
  });

  test("no shared memory for a guest that overwrites the builtins first", async () => {
    using hostile = await Guest.open();
    const exported = [7, 5, 1, 1, 0x6d, 2, 0];
    hostile.evaluate(
      `globalThis.bytes = new Uint8Array([${module(memorySection(3), exported).join()}]); undefined`,
    );
    const { value } = await hostile.run(`
      const leaked = [];
      const spy = (holder, name) => {
        const original = holder[name];
        holder[name] = function (...args) {
          for (let i = 0; i < args.length; i++) leaked[leaked.length] = args[i];
          return original.apply(this, args);
        };
      };
      spy(Reflect, "construct"); spy(Object, "defineProperty"); spy(Object, "fromEntries");
      const tagOf = (value) => Object.prototype.toString.call(value);
      for (const lie of ["byteLength", "length"]) Object.defineProperty(bytes, lie, { get: () => 8 });
      Uint8Array.prototype.slice = ArrayBuffer.prototype.slice = function () { return this; };
      Array.prototype.includes = () => true;
      WebAssembly.validate = () => false;
      Array.prototype[Symbol.iterator] = function* () { yield bytes; };
      const results = [];
      const attempt = (at, make) => { try { results[at] = tagOf(make()); } catch (e) { results[at] = e.name; } };
      attempt(0, () => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.m?.buffer);
      attempt(1, () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
      attempt(2, () => new WebAssembly.Instance(new WebAssembly.Module(bytes.buffer)).exports.m?.buffer);
      for (let i = 0; i < leaked.length; i++) {
        if (leaked[i]?.name === "Memory" && leaked[i] !== WebAssembly.Memory) results[3] = "leak";
      }
      return results.join();`);
    expect(value).toBe("[object Undefined],TypeError,CompileError");
  });

  test("compiling a module is done when its promise's turn comes, not later on another thread", () => {
    guest.evaluate(`
      globalThis.compiled = false;
      WebAssembly.compile(new Uint8Array([${HEADER.join()}])).then(() => { globalThis.compiled = true; }); undefined`);
    expect(guest.evaluate("compiled")).toBe(true);
  });

  test("Error.prepareStackTrace is inert", () => {
    expect(
      guest.evaluate(`
        "use strict";
        let called = false;
        Error.prepareStackTrace = () => { called = true; return "mine"; };
        try { Object.defineProperty(Error, "prepareStackTrace", { value: () => { called = true; } }); } catch {}
        try { delete Error.prepareStackTrace; } catch {}
        const { stack } = new Error("x");
        String(called) + typeof stack + typeof Error.prepareStackTrace`),
    ).toBe("falsestringundefined");
  });

  test("nothing on globalThis has the shape of the host", () => {
    expect(
      guest.evaluate(`
        Reflect.ownKeys(globalThis).filter((key) => {
          const value = globalThis[key];
          return (typeof value === "object" || typeof value === "function") && value !== null &&
            key !== "__driver" && ["setTimer", "entropy"].some((name) => name in value);
        }).map(String).join()`),
    ).toBe("");
  });
});

describe("A guest that overwrites builtins breaks itself only:", () => {
  test("the prelude's classes use each other, not what the guest put in their place", async () => {
    using guest = await Guest.open();
    guest.evaluate(`
      globalThis.URL = globalThis.ReadableStream = globalThis.TextEncoder = globalThis.DOMException = class Mine {};
      globalThis.queueMicrotask = () => {}; undefined`);
    expect(
      await guest.value(`return [new Request("http://a/b").url, await new Response("x").text()];`),
    ).toEqual(["http://a/b", "x"]);
    expect(guest.evaluate("URL.name")).toBe("Mine");
  });
});

describe("A module's shared memory is found by its bytes:", () => {
  test.each([
    ["no sections", module(), false],
    ["a plain memory", module(memorySection(1)), false],
    ["a shared memory", module(memorySection(3)), true],
    ["a shared 64-bit memory", module(memorySection(7)), true],
    ["a shared memory after a custom section", module(customSection, memorySection(3)), true],
    ["a plain imported memory", module(importSection(1)), false],
    ["a shared imported memory", module(importSection(3)), true],
    [
      "an imported function before a shared memory",
      module([2, 13, 2, 1, 0x6d, 1, 0x66, 0, 0, 1, 0x6d, 1, 0x6d, 2, 3, 1, 2]),
      true,
    ],
    [
      "an imported global and table",
      module([2, 14, 2, 1, 0x6d, 1, 0x67, 3, 0x7f, 0, 1, 0x6d, 1, 0x74, 1, 0x70, 0, 1]),
      false,
    ],
    ["bytes that end too early", module([5, 4, 1, 1]), true],
    ["an import of an unknown kind", module([2, 6, 1, 1, 0x6d, 1, 0x6d, 9]), true],
  ])("%s", (_title, bytes, expected) => {
    expect(declaresSharedMemory(bytes)).toBe(expected);
  });
});
