/**
 * WebAssembly without its asynchronous entry points and without shared memory.
 *
 * 1. Compiling happens inside the call that asks for it, on the guest's own clock:
 *    continuations of engine-side compilation would run outside any time limit.
 * 2. No module and no Memory with shared memory comes into being.
 */
import { platform } from "./platform.ts";
import { declaresSharedMemory } from "./wasm-shared.ts";

type Constructor = new (...args: unknown[]) => object;

interface Engine {
  readonly Module: Constructor;
  readonly Memory: Constructor;
  readonly Instance: Constructor;
  readonly CompileError: new (message: string) => Error;
  validate(bytes: Uint8Array): boolean;
}

/** The engine's own namespace, changed in place: its classes are what modules expect. */
const engine = platform["EngineWebAssembly"] as Engine;
const { Instance, CompileError, validate } = engine;
const { defineProperty, setPrototypeOf } = Object;
const { construct } = Reflect;
const resolved = Promise.resolve();

const define = (name: string, value: unknown): void => {
  defineProperty(engine, name, { value, writable: true, configurable: true, enumerable: false });
};

function toBytes(source: unknown): Uint8Array<ArrayBuffer> {
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0));
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
  }
  throw new TypeError("WebAssembly: the first argument must be an ArrayBuffer or a view of one");
}

/** Same name, same prototype, same instances; its arguments go through `prepare`. */
function replaceConstructor(
  name: "Module" | "Memory",
  prepare: (args: unknown[]) => unknown[],
): Constructor {
  const original = engine[name];
  function replacement(...args: unknown[]): object {
    if (new.target === undefined)
      throw new TypeError(`WebAssembly.${name} must be invoked with 'new'`);
    return construct(original, prepare(args), new.target === replacement ? original : new.target);
  }
  setPrototypeOf(replacement, original);
  defineProperty(replacement, "name", { value: name, configurable: true });
  defineProperty(replacement, "length", { value: 1, configurable: true });
  defineProperty(replacement, "prototype", {
    value: original.prototype as object,
    writable: false,
  });
  defineProperty(original.prototype, "constructor", { value: replacement });
  define(name, replacement);
  return replacement as unknown as Constructor;
}

/** Reads each member once and passes on a copy, so that no getter can answer twice. */
replaceConstructor("Memory", (args) => {
  const [descriptor] = args;
  if (typeof descriptor !== "object" || descriptor === null) return args;
  const { initial, minimum, maximum, shared } = descriptor as Record<string, unknown>;
  if (shared) throw new TypeError("WebAssembly.Memory: shared memory is not available here");
  const members = Object.entries({ initial, minimum, maximum });
  return [Object.fromEntries(members.filter(([, value]) => value !== undefined))];
});

const Module = replaceConstructor("Module", ([source]) => {
  const bytes = toBytes(source);
  if (validate(bytes) && declaresSharedMemory(bytes)) {
    throw new CompileError("WebAssembly.Module: shared memory is not available here");
  }
  return [bytes];
});

async function compile(source: unknown): Promise<object> {
  const bytes = toBytes(source);
  await resolved;
  return new Module(bytes);
}

async function instantiate(source: unknown, imports?: unknown): Promise<object> {
  if (source instanceof Module) {
    await resolved;
    return new Instance(source, imports);
  }
  const module = await compile(source);
  return { module, instance: new Instance(module, imports) };
}

async function bytesOf(source: unknown): Promise<ArrayBuffer> {
  const response: unknown = await source;
  if (!(response instanceof platform["Response"])) {
    throw new TypeError("WebAssembly: the first argument must be a Response or a promise of one");
  }
  const { headers, ok, status } = response as Response;
  const type = headers.get("content-type") ?? "";
  if (type.trim().toLowerCase() !== "application/wasm") {
    throw new TypeError(`WebAssembly: expected MIME type 'application/wasm', not '${type}'`);
  }
  if (!ok) throw new TypeError(`WebAssembly: the response has status ${status}`);
  return (response as Response).arrayBuffer();
}

define("compile", compile);
define("instantiate", instantiate);
define("compileStreaming", async function compileStreaming(source: unknown): Promise<object> {
  return compile(await bytesOf(source));
});
define(
  "instantiateStreaming",
  async function instantiateStreaming(source: unknown, imports?: unknown): Promise<object> {
    return instantiate(await bytesOf(source), imports);
  },
);
for (const name of ["promising", "Suspending", "SuspendError"]) delete (engine as never)[name];

export { engine as WebAssembly };
