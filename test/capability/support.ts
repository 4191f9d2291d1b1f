/** What capability tests share: real storage, a clock that is moved by hand. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { Capabilities, type CapabilitiesOptions } from "#capability/capabilities.ts";
import type { Ask } from "#capability/check.ts";
import type { Holder } from "#capability/record.ts";
import type { Kv } from "#storage/kv.ts";
import { openStorage, type Storage } from "#storage/storage.ts";

export const alice = tenantId("alice");
export const bob = tenantId("bob");
export const worker = serviceId("worker");
export const bearer: Holder = { kind: "bearer" };

export interface HandClock extends Clock {
  /** Both clocks. */
  forward(ms: number): void;
  /** Only the wall clock, as when somebody sets it. */
  set(wallMs: number): void;
}

export function handClock(): HandClock {
  let monotonicMs = 5_000;
  let wallMs = 1_700_000_000_000;
  return {
    now: () => monotonicMs,
    nowNs: () => BigInt(Math.round(monotonicMs * 1e6)),
    wallMs: () => wallMs,
    forward(ms) {
      monotonicMs += ms;
      wallMs += ms;
    },
    set(ms) {
      wallMs = ms;
    },
  };
}

export interface OpenStore extends AsyncDisposable {
  readonly storage: Storage;
  readonly kv: Kv;
}

export async function openStore(): Promise<OpenStore> {
  const dataDir = await mkdtemp(join(tmpdir(), "solo-capability-"));
  const storage = await openStorage({ dataDir, clock: systemClock });
  return {
    storage,
    kv: storage.kv,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The same store with namespaces of its own, for one run of many. */
export function scoped(kv: Kv, scope: string): Kv {
  return {
    get: (ns, key) => kv.get(`${scope} ${ns}`, key),
    list: (ns, range) => kv.list(`${scope} ${ns}`, range),
    batch: (ops) => kv.batch(ops.map((op) => ({ ...op, ns: `${scope} ${op.ns}` }))),
  };
}

export const openCapabilities = (
  kv: Kv,
  clock: Clock,
  more: Partial<CapabilitiesOptions> = {},
): Promise<Capabilities> => Capabilities.open({ kv, clock, random: randomBytes, ...more });

export const ask = (
  permission: Ask["permission"],
  resource: string,
  more: Partial<Ask> = {},
): Ask => ({ permission, resource, tenant: alice, presenter: {}, ...more });

export async function rejection(promise: Promise<unknown>): Promise<SoloError> {
  const error: unknown = await promise.then(
    () => new Error("It was expected to be refused."),
    (thrown: unknown) => thrown,
  );
  if (error instanceof SoloError) return error;
  throw error;
}
