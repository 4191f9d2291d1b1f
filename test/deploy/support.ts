/** What tests of the deploy nouns share. */
import type { MeasuredKv } from "#storage/kv.ts";
import type { SpecDefaults } from "#deploy/spec.ts";

export const defaults: SpecDefaults = {
  limits: {
    memoryMb: 64,
    callTimeoutMs: 30_000,
    mailbox: 1000,
    mailboxPolicy: "reject",
    stateBytes: 4 * 1024 * 1024,
    cpuPercent: 0,
    timers: 1000,
    openRequests: 2000,
    logLinesPerSecond: 1000,
    logLineBytes: 8192,
    logBytes: 16 * 1024 * 1024,
    storageBytes: 256 * 1024 * 1024,
    messageBytes: 8 * 1024 * 1024,
    kvValueBytes: 1024 * 1024,
    kvKeys: 100_000,
    hostRequestsPerSecond: 20_000,
    actions: {
      cpu: "throttle",
      openRequests: "throttle",
      timers: "throttle",
      logs: "throttle",
      storage: "throttle",
      hostRequests: "throttle",
    },
  },
  ceilings: {
    memoryMb: 4096,
    callTimeoutMs: 3_600_000,
    mailbox: 100_000,
    cpuPercent: Infinity,
    timers: 10_000,
    openRequests: 100_000,
    logLinesPerSecond: 100_000,
    logBytes: 256 * 1024 * 1024,
    storageBytes: 1024 * 1024 * 1024,
    kvKeys: 1_000_000,
    hostRequestsPerSecond: 1_000_000,
  },
  restartLimits: {
    maxRestarts: 3,
    maxSeconds: 5,
    startupTimeoutMs: 5000,
    shutdownTimeoutMs: 5000,
  },
  maxSourceBytes: 10_000,
  hibernateAfterMs: 0,
};

/** The disk as a map: what stands behind `Kv` has tests of its own. */
export function memoryKv(): MeasuredKv & { readonly rows: Map<string, Uint8Array> } {
  const rows = new Map<string, Uint8Array>();
  const versions = new Map<string, number>();
  let last = 0;
  const versionOf = (name: string) => versions.get(name) ?? 0;
  const at = (ns: string, key: string) => `${ns}\0${key}`;
  return {
    rows,
    async get(ns, key) {
      const value = rows.get(at(ns, key));
      return value === undefined
        ? undefined
        : { value: Uint8Array.from(value), version: versionOf(at(ns, key)) };
    },
    async list(ns, { limit, after = "", prefix = "" }) {
      return [...rows]
        .map(([name, value]) => ({ name, value, version: versionOf(name) }))
        .filter(({ name }) => name.startsWith(`${ns}\0`))
        .map(({ name, value, version }) => ({ key: name.slice(ns.length + 1), value, version }))
        .filter(({ key }) => key > after && key.startsWith(prefix))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit);
    },
    async usage(ns) {
      const own = [...rows].filter(([name]) => name.startsWith(`${ns}\0`));
      const bytes = own.reduce((sum, [name, { length }]) => sum + name.length + length, 0);
      return { bytes: bytes - own.length * (ns.length + 1), keys: own.length };
    },
    async batch(ops) {
      for (const op of ops) {
        if (op.op === "delete") rows.delete(at(op.ns, op.key));
        else {
          rows.set(at(op.ns, op.key), op.value);
          versions.set(at(op.ns, op.key), (last += 1));
        }
      }
      return ops.map(() => 1);
    },
  };
}
