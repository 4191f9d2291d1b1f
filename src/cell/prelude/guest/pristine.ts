/**
 * The engine's globals by name, with those that guests no longer have: for a package
 * that collects its primordials this way. Accessors, which are ours, are left out.
 */
import { platform } from "./platform.ts";

const values: Record<string, unknown> = { __proto__: null };
for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(globalThis))) {
  if (value !== undefined) values[name] = value as unknown;
}
values["WeakRef"] = platform["WeakRef"];
values["FinalizationRegistry"] = platform["FinalizationRegistry"];

export const pristineGlobal = values;
