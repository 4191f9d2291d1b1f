/**
 * WebAssembly without its asynchronous entry points and without shared memory.
 *
 * 1. Compiling happens inside the call that asks for it, on the guest's own clock:
 *    continuations of engine-side compilation would run outside any time limit.
 * 2. No module and no Memory with shared memory comes into being.
 * 3. This runs before guest code, and later calls use nothing that a guest can
 *    overwrite: what is checked is a fresh copy, and the engine gets that copy.
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
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;
const { Instance, CompileError, validate } = engine;
const { defineProperty, getOwnPropertyDescriptor } = Object;
const { construct, ownKeys } = Reflect;
const { isView } = ArrayBuffer;
const Bytes = Uint8Array;
const resolved = Promise.resolve();

const define = (name: string, value: unknown): void => {
  defineProperty(engine, name, { value, writable: true, configurable: true, enumerable: false });
};

/** Always a new array over new memory, whatever the source does while it is read. */
function copyBytes(source: unknown): Uint8Array<ArrayBuffer> {
  if (isView(source))
    return new Bytes(new Bytes(source.buffer, source.byteOffset, source.byteLength));
  if (source instanceof ArrayBuffer) return new Bytes(new Bytes(source));
  throw new TypeError("WebAssembly: the first argument must be an ArrayBuffer or a view of one");
}

/**
 * Same name, same prototype, same statics, same instances; its arguments go through
 * `prepare`. Nothing leads from it to the original.
 */
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
  for (const key of ownKeys(original)) {
    defineProperty(replacement, key, getOwnPropertyDescriptor(original, key)!);
  }
  defineProperty(original.prototype, "constructor", { value: replacement });
  define(name, replacement);
  return replacement as unknown as Constructor;
}

/** Reads each member once and passes on a copy without a prototype: nothing else can say `shared`. */
replaceConstructor("Memory", (args) => {
  const descriptor = args[0];
  if ((typeof descriptor !== "object" && typeof descriptor !== "function") || descriptor === null)
    return [];
  const { initial, minimum, maximum, address, index, shared } = descriptor as Record<
    string,
    unknown
  >;
  if (shared) throw new TypeError("WebAssembly.Memory: shared memory is not available here");
  const copy: Record<string, unknown> = { __proto__: null };
  if (initial !== undefined) copy["initial"] = initial;
  if (minimum !== undefined) copy["minimum"] = minimum;
  if (maximum !== undefined) copy["maximum"] = maximum;
  if (address !== undefined) copy["address"] = address;
  if (index !== undefined) copy["index"] = index;
  return [copy];
});

const Module = replaceConstructor("Module", (args) => {
  const bytes = copyBytes(args[0]);
  if (validate(bytes) && declaresSharedMemory(bytes)) {
    throw new CompileError("WebAssembly.Module: shared memory is not available here");
  }
  return [bytes];
});

async function compile(source: unknown): Promise<object> {
  const bytes = copyBytes(source);
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
