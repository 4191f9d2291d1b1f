/**
 * A control group for each tenant, above those of its cells: it holds what they use together.
 *
 * 1. A cell joins once it runs. What it held by then stays charged to its first group, and is
 *    taken off what the tenant's group may hold, for as long as the cell lives.
 * 2. The group is there while a cell is in it; joins and leaves of one tenant do not overlap.
 */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TenantId } from "#base/ids.ts";
import type { Controller } from "#sandbox/cgroup-place.ts";
import {
  groupName,
  removeGroup,
  settings,
  type CellCgroup,
  type CgroupHost,
  type CgroupLimits,
} from "#sandbox/cgroup.ts";

/** What a tenant's cells may use together. */
export type TenantHold = Pick<CgroupLimits, "cpuPercent" | "cpuShare"> & {
  readonly memoryBytes: number;
};

export interface JoinOptions {
  readonly tenant: TenantId;
  readonly hold: TenantHold;
  readonly cell: CellCgroup;
}

interface TenantGroup {
  readonly places: CgroupHost["places"];
  /** Its cells, with the bytes that are charged elsewhere. */
  readonly carried: Map<CellCgroup, number>;
  hold: TenantHold;
}

export class TenantGroups {
  readonly #host: Pick<CgroupHost, "version" | "places">;
  readonly #pid: number;
  readonly #groups = new Map<TenantId, TenantGroup>();
  /** By tenant, what is under way. */
  readonly #turns = new Map<TenantId, Promise<unknown>>();

  constructor(host: Pick<CgroupHost, "version" | "places">, pid: number) {
    this.#host = host;
    this.#pid = pid;
  }

  /** Resolves once the cell is held with the tenant's others; rejects when the tenant has no room
   *  for what it holds already. */
  join({ tenant, hold, cell }: JoinOptions): Promise<void> {
    return this.#inTurn(tenant, async () => {
      const group = this.#groups.get(tenant) ?? (await this.#open(tenant, hold));
      group.hold = hold;
      group.carried.set(cell, 0);
      group.carried.set(cell, await cell.moveBelow(group));
      await this.#limit(group);
    });
  }

  /** For a cell whose own groups are gone, however far its join got. Idempotent. */
  leave(tenant: TenantId, cell: CellCgroup): Promise<void> {
    return this.#inTurn(tenant, () => this.#leave(tenant, cell));
  }

  async #open(tenant: TenantId, hold: TenantHold): Promise<TenantGroup> {
    const { version, places: all } = this.#host;
    const hash = createHash("sha256").update(tenant).digest("hex").slice(0, 16);
    const name = groupName(this.#pid, `tenant-${hash}`);
    const shared = new Set([all.memory, all.cpu]);
    const places = Object.fromEntries(
      Object.entries(all)
        .filter(([, place]) => shared.has(place))
        .map(([controller, place]) => [controller, path.join(place, name)]),
    ) as Record<Controller, string>;
    for (const directory of new Set(Object.values(places))) {
      await mkdir(directory, { recursive: true });
      if (version !== 2) continue;
      const controllers = Object.keys(places).map((controller) => `+${controller}`);
      await writeFile(path.join(directory, "cgroup.subtree_control"), controllers.join(" "));
    }
    const group = { places, hold, carried: new Map<CellCgroup, number>() };
    this.#groups.set(tenant, group);
    await this.#limit(group);
    return group;
  }

  async #limit({ places, hold, carried }: TenantGroup): Promise<void> {
    const elsewhere = [...carried.values()].reduce((sum, bytes) => sum + bytes, 0);
    const memoryBytes = Math.max(0, hold.memoryBytes - elsewhere);
    for (const setting of settings(this.#host.version, { ...hold, memoryBytes })) {
      const place = places[setting.controller];
      // One cell that passes the sum ends, not all of them.
      if (place === undefined || setting.file === "memory.oom.group") continue;
      const written = writeFile(path.join(place, setting.file), setting.value);
      await (setting.optional ? written.catch(() => {}) : written);
    }
  }

  async #leave(tenant: TenantId, cell: CellCgroup): Promise<void> {
    const group = this.#groups.get(tenant);
    if (!group?.carried.delete(cell)) return;
    if (group.carried.size > 0) return this.#limit(group);
    this.#groups.delete(tenant);
    await Promise.all([...new Set(Object.values(group.places))].map(removeGroup));
  }

  #inTurn<T>(tenant: TenantId, act: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(tenant) ?? Promise.resolve()).then(act, act);
    this.#turns.set(tenant, turn);
    const done = () => {
      if (this.#turns.get(tenant) === turn) this.#turns.delete(tenant);
    };
    turn.then(done, done);
    return turn;
  }
}
