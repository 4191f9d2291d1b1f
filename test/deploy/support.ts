/** What tests of the deploy nouns share. */
import type { Kv } from "#storage/kv.ts";
import type { SpecDefaults } from "#deploy/spec.ts";

export const defaults: SpecDefaults = {
  limits: {
    memoryMb: 64,
    callTimeoutMs: 30_000,
    mailbox: 1000,
    mailboxPolicy: "reject",
    stateBytes: 4 * 1024 * 1024,
  },
  restartLimits: {
    maxRestarts: 3,
    maxSeconds: 5,
    startupTimeoutMs: 5000,
    shutdownTimeoutMs: 5000,
  },
  maxSourceBytes: 10_000,
};

/** The disk as a map: what stands behind `Kv` has tests of its own. */
export function memoryKv(): Kv & { readonly rows: Map<string, Uint8Array> } {
  const rows = new Map<string, Uint8Array>();
  const at = (ns: string, key: string) => `${ns}\0${key}`;
  return {
    rows,
    async get(ns, key) {
      const value = rows.get(at(ns, key));
      return value === undefined ? undefined : { value: Uint8Array.from(value), version: 1 };
    },
    async list(ns, { limit, after = "" }) {
      return [...rows]
        .map(([name, value]) => ({ name, value, version: 1 }))
        .filter(({ name }) => name.startsWith(`${ns}\0`))
        .map(({ name, value, version }) => ({ key: name.slice(ns.length + 1), value, version }))
        .filter(({ key }) => key > after)
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit);
    },
    async batch(ops) {
      for (const op of ops) {
        if (op.op === "put") rows.set(at(op.ns, op.key), op.value);
        else rows.delete(at(op.ns, op.key));
      }
      return ops.map(() => 1);
    },
  };
}
