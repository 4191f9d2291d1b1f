/**
 * Takes from the engine's own globals what lets a guest block a thread, run code
 * outside a call, or change how the host reads its errors. wasm.ts does the same to
 * WebAssembly.
 *
 * 1. What is removed stays reachable to the prelude alone, through `platform`.
 * 2. No collection is observable: no WeakRef, no FinalizationRegistry.
 * 3. `Error.prepareStackTrace` reads as undefined; assigning to it does nothing.
 */
import { platform } from "./platform.ts";

/** Registering costs nothing and calls nothing: finalizers would run outside any call. */
class InertRegistry {
  register(): void {}
  unregister(): boolean {
    return false;
  }
}

/** Kept for the prelude's own use under the same names, but for the registry. */
const REMOVED = ["SharedArrayBuffer", "WeakRef", "FinalizationRegistry"];

export function harden(): void {
  // By name: the bundler turns free names of the platform into members of `platform`.
  const scope = globalThis as unknown as Record<string, unknown>;
  for (const name of REMOVED) {
    const constructor = scope[name] as { prototype: { constructor?: unknown } };
    platform[name] = constructor;
    delete constructor.prototype.constructor;
    delete scope[name];
  }
  platform["FinalizationRegistry"] = InertRegistry;
  for (const name of ["wait", "waitAsync", "notify"]) delete (Atomics as never)[name];
  Object.defineProperty(Error, "prepareStackTrace", {
    get: () => undefined,
    set: () => {},
    enumerable: false,
    configurable: false,
  });
}
