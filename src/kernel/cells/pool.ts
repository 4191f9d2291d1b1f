/**
 * The cells there are: spares without a tenant, one shared cell for each tenant that needs
 * one, and dedicated cells.
 *
 * 1. A cell that has served a tenant never serves another.
 * 2. Spares are made a while after one was taken: an eager refill costs the very deploy it
 *    should help. Who finds none takes the one that is being made.
 */
import type { Clock } from "#base/clock.ts";
import { within } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import { CellAccounts, type ProcessUsage } from "#kernel/cells/accounts.ts";
import { Cell } from "#kernel/cells/cell.ts";
import type { Launcher } from "#kernel/cells/launcher.ts";
import { beyondMemory } from "#kernel/cells/memory-watch.ts";
import { CHECK_MS } from "#kernel/cells/silence.ts";

export interface CellPoolOptions {
  readonly launch: Launcher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly spares: number;
  readonly cellArgs: readonly string[];
  /** What one cell may hold, and all of a tenant; of no tenant yet when none is given. */
  readonly memoryBytes: (tenant?: TenantId) => number;
  /** CPU time of the tenant's cells, in percent of a core; Infinity: no limit. */
  readonly cpuPercent: (tenant: TenantId) => number;
  /** A tenant's cell ended because it passed its memory limit. */
  readonly outOfMemory: (tenant: TenantId) => void;
}

const READY_TIMEOUT_MS = 15_000;
const REFILL_AFTER_MS = 150;
/** How often a cell's memory is read where the operating system does not hold its limit. */
const MEMORY_CHECK_MS = 50;
/** A tenant's cell without instances is kept for the next deploy. */
const IDLE_CELL_MS = 30_000;

export class CellPool {
  readonly #options: CellPoolOptions;
  readonly #cells = new Set<Cell>();
  readonly #shared = new Map<TenantId, Promise<Cell>>();
  #spares: Cell[] = [];
  /** The spare that is being made, until somebody takes it. */
  #nextSpare: Promise<Cell> | undefined;
  #closed = false;
  #refillTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #memoryTimer: NodeJS.Timeout | undefined;
  /** Processes that are being started. */
  readonly #starting = new Set<Promise<Cell>>();
  readonly #accounts = new CellAccounts();
  readonly #idleSince = new Map<Cell, number>();

  constructor(options: CellPoolOptions) {
    this.#options = options;
  }

  /** Spares begin to start; nobody waits for them here. */
  open(): void {
    this.#checkTimer = setInterval(() => this.#check(), CHECK_MS);
    this.#memoryTimer = setInterval(() => this.#checkMemory(), MEMORY_CHECK_MS);
    this.#scheduleRefill(0);
  }

  get size(): number {
    return this.#cells.size;
  }

  /** What the tenants' processes have used. */
  usage(): ReadonlyMap<TenantId, ProcessUsage> {
    return this.#accounts.read(this.#cells);
  }

  /** The tenant has neither services nor cells. */
  forget(tenant: TenantId): void {
    this.#accounts.forget(tenant);
  }

  /** Resolves once a spare cell waits; rejects when none can be made. */
  async warm(): Promise<void> {
    if (this.#options.spares === 0 || this.#spares.length > 0) return;
    await this.#makeSpare();
  }

  /** The tenant's cell, ready for a start. */
  async shared(tenant: TenantId): Promise<Cell> {
    const made = this.#shared.get(tenant) ?? this.#makeShared(tenant);
    const cell = await made;
    if (!cell.isGone) return cell;
    // Those who lost their cell ask at the very moment of its end.
    this.#forgetShared(tenant, made);
    return this.shared(tenant);
  }

  dedicated(tenant: TenantId): Promise<Cell> {
    return this.#claim(tenant, true);
  }

  /** Gives a dedicated cell back once its instance is gone. */
  release(cell: Cell): void {
    if (cell.dedicated) cell.kill("its service ended");
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refillTimer);
    clearInterval(this.#checkTimer);
    clearInterval(this.#memoryTimer);
    const cells = [...this.#cells];
    for (const cell of cells) cell.kill("the kernel stops");
    const late = await Promise.allSettled(this.#starting);
    for (const start of late) if (start.status === "fulfilled") cells.push(start.value);
    await Promise.all(
      cells.map(async (cell) => {
        await cell.gone;
        await cell.process.cleared;
      }),
    );
  }

  #makeShared(tenant: TenantId): Promise<Cell> {
    const made = this.#claim(tenant, false);
    this.#shared.set(tenant, made);
    const forget = () => this.#forgetShared(tenant, made);
    made.then((cell) => cell.gone.then(forget), forget);
    return made;
  }

  #forgetShared(tenant: TenantId, made: Promise<Cell>): void {
    if (this.#shared.get(tenant) === made) this.#shared.delete(tenant);
  }

  async #claim(tenant: TenantId, dedicated: boolean): Promise<Cell> {
    if (this.#closed) throw new SoloError("shutting_down", "The kernel is stopping.");
    let cell = this.#spares.shift();
    if (cell === undefined || cell.isGone) cell = await this.#soonest();
    cell.tenant = tenant;
    cell.dedicated = dedicated;
    this.#scheduleRefill(REFILL_AFTER_MS);
    const { memoryBytes } = this.#options;
    const limit = memoryBytes(tenant);
    this.#accounts.claimed(cell);
    if (limit !== memoryBytes()) await cell.process.limitMemory(limit);
    await this.#ready(cell);
    void this.#hold(cell, tenant);
    return cell;
  }

  /** Among the tenant's other processes. Nobody waits for it: it takes Linux 10 ms, until then
   *  the cell has its own limit, and what it holds by then counts. */
  async #hold(cell: Cell, tenant: TenantId): Promise<void> {
    const { memoryBytes, cpuPercent, log } = this.#options;
    const bounds = { memoryBytes: memoryBytes(tenant), cpuPercent: cpuPercent(tenant) };
    try {
      await cell.process.belongTo(tenant, bounds);
    } catch (error) {
      if (cell.isGone) return;
      // Linux takes no limit below what is held already.
      if ((error as NodeJS.ErrnoException).code === "EBUSY") return cell.passedMemory();
      log.error("a cell cannot be held to its tenant's limits", { tenant, error: String(error) });
      cell.kill("its tenant's limits have no room for it");
    }
  }

  /** A cell that does not get there is ended. */
  async #ready(cell: Cell): Promise<Cell> {
    try {
      await within(cell.ready, {
        ms: READY_TIMEOUT_MS,
        what: "a cell to start",
        code: "unavailable",
      });
      return cell;
    } catch (error) {
      cell.kill("it did not get ready");
      throw error;
    }
  }

  async #soonest(): Promise<Cell> {
    const next = this.#nextSpare;
    this.#nextSpare = undefined;
    // One that does not get ready is the refill's news.
    return (await next?.catch(() => undefined)) ?? this.#spawn();
  }

  async #spawn(): Promise<Cell> {
    const start = this.#start();
    this.#starting.add(start);
    try {
      return await start;
    } finally {
      this.#starting.delete(start);
    }
  }

  async #start(): Promise<Cell> {
    const { launch, clock, log, cellArgs, memoryBytes } = this.#options;
    const process = await launch({
      program: "cell",
      args: cellArgs,
      memoryBytes: memoryBytes(),
      onStderr: (line) => log.warn("cell says", { line }),
    });
    const cell = new Cell({ process, clock });
    if (this.#closed) cell.kill("the kernel stops");
    this.#cells.add(cell);
    void cell.gone.then(({ why, outOfMemory }) => {
      this.#accounts.ended(cell);
      if (outOfMemory && cell.tenant !== undefined) this.#options.outOfMemory(cell.tenant);
      this.#cells.delete(cell);
      this.#idleSince.delete(cell);
      this.#spares = this.#spares.filter((spare) => spare !== cell);
      if (!this.#closed) log.debug("cell ended", { pid: process.pid, why });
    });
    return cell;
  }

  #scheduleRefill(afterMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#refillTimer);
    this.#refillTimer = setTimeout(() => void this.#refill(), afterMs);
  }

  async #refill(): Promise<void> {
    while (!this.#closed && this.#spares.length < this.#options.spares) {
      try {
        const cell = await this.#makeSpare();
        // Somebody has taken it, who has another made later.
        if (!this.#spares.includes(cell)) return;
      } catch (error) {
        this.#options.log.error("no spare cell", { error: String(error) });
        return;
      }
    }
  }

  /** The next spare; resolves once it is one, or would be if nobody had taken it. */
  #makeSpare(): Promise<Cell> {
    if (this.#nextSpare !== undefined) return this.#nextSpare;
    const next = this.#spawn().then((cell) => this.#ready(cell));
    const settle = (cell?: Cell) => {
      if (this.#nextSpare !== next) return;
      this.#nextSpare = undefined;
      if (cell !== undefined) this.#spares.push(cell);
    };
    next.then(settle, () => settle());
    return (this.#nextSpare = next);
  }

  #checkMemory(): void {
    const held = [...this.#cells].filter((cell) => !cell.isGone);
    for (const cell of beyondMemory(held, this.#options.memoryBytes)) cell.passedMemory();
  }

  #check(): void {
    const now = this.#options.clock.now();
    for (const cell of this.#cells) {
      cell.checkHeartbeat();
      if (cell.tenant === undefined || cell.dedicated || cell.size > 0) {
        this.#idleSince.delete(cell);
        continue;
      }
      const since = this.#idleSince.get(cell) ?? now;
      this.#idleSince.set(cell, since);
      if (now - since > IDLE_CELL_MS) {
        this.#shared.delete(cell.tenant);
        cell.kill("it had nothing to do");
      }
    }
  }
}
