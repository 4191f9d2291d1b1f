/**
 * WebAssembly without its asynchronous entry points and without shared memory.
 *
 * 1. Compiling happens inside the call that asks for it, on the guest's own clock:
 *    continuations of engine-side compilation would run outside any time limit.
 * 2. No module and no Memory with shared memory comes into being.
 */
import { platform } from "./platform.ts";
import { declaresSharedMemory } from "./wasm-shared.ts";

type Bytes = BufferSource;
type Imports = WebAssembly.Imports;

const { defineProperty, setPrototypeOf } = Object;
const { construct } = Reflect;
const resolved = Promise.resolve();

/** The engine's own namespace, changed in place: its classes are what modules expect. */
const engine = platform["EngineWebAssembly"] as typeof WebAssembly;
const { Instance, CompileError, validate } = engine;

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

/** A subclass would show in stack traces and names; a replaced constructor does not. */
function replaceConstructor(name: string, prepare: (args: unknown[]) => unknown[]): void {
  const original = engine[name as "Module"] as unknown as abstract new () => object;
  const replacement = {
    [name]: function (...args: unknown[]): object {
      if (new.target === undefined) throw new TypeError(`WebAssembly.${name} must be invoked with 'new'`);
      return construct(original, prepare(args), new.target === replacement ? original : new.target);
    },
  }[name] as unknown as { prototype: object };
  setPrototypeOf(replacement, original);
  defineProperty(replacement, "prototype", { value: original.prototype, writable: false });
  defineProperty(replacement, "length", { value: 1, configurable: true });
  defineProperty(original.prototype, "constructor", {
    value: replacement,
    writable: true,
    configurable: true,
    enumerable: false,
  });
  define(name, replacement);
}

replaceConstructor("Memory", (args) => {
  const { initial, minimum, maximum, shared } = (args[0] ?? {}) as Record<string, unknown>;
  if (shared) throw new TypeError("WebAssembly.Memory: shared memory is not available here");
  if (args.length === 0 || typeof args[0] !== "object") return args;
  return [
    {
      ...(initial !== undefined && { initial }),
      ...(minimum !== undefined && { minimum }),
      ...(maximum !== undefined && { maximum }),
    },
  ];
});
replaceConstructor("Module", (args) => {
  const bytes = toBytes(args[0]);
  if (validate(bytes) && declaresSharedMemory(bytes)) {
    throw new CompileError("WebAssembly.Module: shared memory is not available here");
  }
  return [bytes];
});
const { Module } = engine;

const compile = async (source: Bytes): Promise<WebAssembly.Module> => {
  const bytes = toBytes(source);
  await resolved;
  return new Module(bytes);
};
const instantiate = async (source: Bytes | WebAssembly.Module, imports?: Imports): Promise<unknown> => {
  if (source instanceof Module) {
    await resolved;
    return new Instance(source, imports);
  }
  const module = await compile(source);
  return { module, instance: new Instance(module, imports) };
};
const fromResponse = async (source: Response | PromiseLike<Response>): Promise<ArrayBuffer> => {
  const response = await source;
  if (!(response instanceof platform["Response"])) {
    throw new TypeError("WebAssembly: the first argument must be a Response or a promise of one");
  }
  const type = response.headers.get("content-type") ?? "";
  if (type.trim().toLowerCase() !== "application/wasm") {
    throw new TypeError(`WebAssembly: expected MIME type 'application/wasm', not '${type}'`);
  }
  if (!response.ok) throw new TypeError(`WebAssembly: the response has status ${response.status}`);
  return response.arrayBuffer();
};
define("compile", compile);
define("instantiate", instantiate);
define("compileStreaming", async (source: Response) => compile(await fromResponse(source)));
define("instantiateStreaming", async (source: Response, imports?: Imports) =>
  instantiate(await fromResponse(source), imports),
);
for (const name of ["promising", "Suspending", "SuspendError"]) delete (engine as never)[name];

export { engine as WebAssembly };
