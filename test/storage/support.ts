/** What storage tests share: directories of their own, and events to put into them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { type Storage, openStorage, type StorageOptions } from "#storage/storage.ts";
import type { EventBatch, Field } from "#storage/protocol.ts";

export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "solo-storage-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export const open = (dataDir: string, options: Partial<StorageOptions> = {}): Promise<Storage> =>
  openStorage({ dataDir, clock: systemClock, ...options });

export interface Draft {
  readonly tenant?: string | null;
  readonly type?: string;
  readonly subject?: string | null;
  readonly wallMs?: number;
  readonly payload?: string;
}

export function batch(firstId: number, drafts: readonly Draft[]): EventBatch {
  const fields: Field[] = [];
  for (const {
    tenant = null,
    type = "system_started",
    subject = null,
    wallMs = 1_000,
    payload = "{}",
  } of drafts) {
    fields.push("12345678901234567", wallMs, tenant, type, subject, payload, null);
  }
  return { firstId, bootId: "boot", fields };
}

/** Appends `count` events, `perCommit` to a commit, and waits for them. */
export async function fill(
  storage: Storage,
  options: { firstId: number; count: number; perCommit?: number },
): Promise<void> {
  const { firstId, count, perCommit = 5 } = options;
  for (let id = firstId; id < firstId + count; id += perCommit) {
    const drafts = Array.from({ length: Math.min(perCommit, firstId + count - id) }, (_, i) => ({
      tenant: `t${(id + i) % 3}`,
      subject: `s${(id + i) % 7}`,
      payload: JSON.stringify({ n: id + i }),
    }));
    await storage.events.append(batch(id, drafts));
  }
}

export const allEvents = async (storage: Storage) =>
  (await storage.events.read({ limit: 100_000 })).events;

/** Changes a closed database behind Solo's back. */
export function tamper(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

export async function rejection(promise: Promise<unknown>): Promise<SoloError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SoloError) return error;
    throw error;
  }
  throw new Error("It was expected to be refused.");
}
