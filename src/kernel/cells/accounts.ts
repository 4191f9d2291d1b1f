/** What the processes of each tenant have used, as the operating system says. */
import type { TenantId } from "#base/ids.ts";
import type { Cell } from "#kernel/cells/cell.ts";

export interface ProcessUsage {
  /** Since it last had neither services nor processes, also of those that have ended, ms. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

export class CellAccounts {
  /** Of processes that have ended. */
  readonly #spent = new Map<TenantId, number>();
  /** What a process had used before it was given to its tenant, and when it was last read. */
  readonly #readings = new WeakMap<Cell, { readonly before: number; last: number }>();

  claimed(cell: Cell): void {
    const before = cell.process.cpuMs() ?? 0;
    this.#readings.set(cell, { before, last: before });
  }

  ended(cell: Cell): void {
    if (cell.tenant === undefined) return;
    this.#spent.set(cell.tenant, (this.#spent.get(cell.tenant) ?? 0) + this.#cpuOf(cell));
  }

  /** It has neither services nor processes any more. */
  forget(tenant: TenantId): void {
    this.#spent.delete(tenant);
  }

  read(cells: Iterable<Cell>): Map<TenantId, ProcessUsage> {
    const usage = new Map<TenantId, ProcessUsage>();
    for (const cell of cells) {
      if (cell.tenant === undefined) continue;
      const bytes = cell.process.memoryBytes() ?? 0;
      const of = usage.get(cell.tenant) ?? {
        cpuMs: this.#spent.get(cell.tenant) ?? 0,
        memoryBytes: 0,
      };
      usage.set(cell.tenant, {
        cpuMs: of.cpuMs + this.#cpuOf(cell),
        memoryBytes: of.memoryBytes + bytes,
      });
    }
    return usage;
  }

  /** A process that is gone tells nothing any more: what it told last counts. */
  #cpuOf(cell: Cell): number {
    const reading = this.#readings.get(cell);
    if (reading === undefined) return 0;
    reading.last = Math.max(reading.last, cell.process.cpuMs() ?? 0);
    return reading.last - reading.before;
  }
}
