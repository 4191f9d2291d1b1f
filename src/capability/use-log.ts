/**
 * Uses of capabilities that have a limit, on disk.
 *
 * 1. `record` resolves when the uses counted before it are on disk: what is awaited before the
 *    work begins can never be used once more after a crash.
 * 2. Uses that come while one write is under way share the next.
 */
import type { Capability } from "#capability/capability.ts";
import type { CapabilityTable } from "#capability/table.ts";

export class UseLog {
  readonly #table: CapabilityTable;
  #dirty = new Set<Capability>();
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(table: CapabilityTable) {
    this.#table = table;
  }

  record(capability: Capability): Promise<void> {
    for (const link of capability.chain()) if (link.maxUses !== Infinity) this.#dirty.add(link);
    return (this.#next ??= this.#write());
  }

  async #write(): Promise<void> {
    await this.#running.catch(() => {}); // who waited for that one was told
    const links = [...this.#dirty];
    this.#dirty = new Set();
    this.#next = undefined;
    this.#running = this.#table.putUses(links);
    await this.#running;
  }
}
