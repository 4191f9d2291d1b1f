/**
 * Which cells hold too much where the operating system does not see to it.
 *
 * 1. One that is beyond the limit of a cell ends, whatever the others hold.
 * 2. While the cells of a tenant are beyond its limit together, the largest of them ends.
 */
import type { TenantId } from "#base/ids.ts";
import type { CellProcess } from "#kernel/cells/launcher.ts";

/** A cell, as far as its memory goes. */
export interface WatchedCell {
  readonly tenant: TenantId | undefined;
  readonly process: Pick<CellProcess, "holdsMemoryLimit" | "holdsTenantMemory" | "memoryBytes">;
}

/** The cells that have to end; `limitOf`: of one cell, and of a tenant's together. */
export function beyondMemory<C extends WatchedCell>(
  cells: Iterable<C>,
  limitOf: (tenant?: TenantId) => number,
): C[] {
  const beyond: C[] = [];
  const byTenant = new Map<TenantId, { cell: C; bytes: number }[]>();
  for (const cell of cells) {
    const { tenant, process } = cell;
    if (process.holdsMemoryLimit && (process.holdsTenantMemory || tenant === undefined)) continue;
    const bytes = process.memoryBytes() ?? 0;
    if (!process.holdsMemoryLimit && bytes > limitOf(tenant)) beyond.push(cell);
    else if (tenant !== undefined && !process.holdsTenantMemory) {
      const its = byTenant.get(tenant) ?? [];
      its.push({ cell, bytes });
      byTenant.set(tenant, its);
    }
  }
  for (const [tenant, its] of byTenant) {
    let total = its.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { cell, bytes } of its.toSorted((a, b) => b.bytes - a.bytes)) {
      if (total <= limitOf(tenant)) break;
      beyond.push(cell);
      total -= bytes;
    }
  }
  return beyond;
}
