/**
 * core-js installs what it brings on globalThis. This runs such a module and takes
 * the value off again, whatever the guest has put under that name meanwhile.
 */
const { defineProperty, getOwnPropertyDescriptor } = Object;

/** Where core-js keeps what its copies share; ours has it in a closure by then. */
const SHARED_STORE = "__core-js_shared__";

export function takeFromCoreJs(name: string, run: () => unknown): Record<string, unknown> {
  const scope = globalThis as unknown as Record<string, unknown>;
  const before = getOwnPropertyDescriptor(scope, name);
  delete scope[name];
  run();
  const value = scope[name];
  delete scope[SHARED_STORE];
  if (before !== undefined) defineProperty(scope, name, before);
  return { [name]: value };
}
