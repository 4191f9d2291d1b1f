/** What event tests share: a log on a store of its own that can be killed and opened again. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { EventLog, type EventLogOptions } from "#events/event-log.ts";
import { ServiceLogs } from "#events/service-logs.ts";
import { openStorage, type Storage, type StorageOptions } from "#storage/storage.ts";
import { until as untilNamed } from "../support/until.ts";

export class Fixture implements AsyncDisposable {
  readonly dataDir: string;
  readonly log: EventLog;
  readonly logs = new ServiceLogs({ clock: systemClock });
  storage!: Storage;
  readonly #storageOptions: Partial<StorageOptions>;

  private constructor(dataDir: string, options: FixtureOptions) {
    this.dataDir = dataDir;
    this.log = new EventLog({ clock: systemClock, bootId: "test", ...options.log });
    this.#storageOptions = options.storage ?? {};
  }

  static async open(options: FixtureOptions = {}): Promise<Fixture> {
    const fixture = new Fixture(await mkdtemp(join(tmpdir(), "solo-events-")), options);
    await fixture.reopen();
    return fixture;
  }

  async kill(): Promise<void> {
    this.storage.kill();
    await this.storage.closed;
  }

  async reopen(): Promise<void> {
    this.storage = await openStorage({
      dataDir: this.dataDir,
      clock: systemClock,
      ...this.#storageOptions,
    });
    this.log.attach(this.storage.events);
    this.logs.attach(this.storage.logs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.log[Symbol.dispose]();
    await this.storage.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

export interface FixtureOptions {
  readonly log?: Partial<EventLogOptions>;
  readonly storage?: Partial<StorageOptions>;
}

export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Waits for a condition, with a deadline. */
export const until = (condition: () => boolean): Promise<true> =>
  untilNamed(condition, String(condition));

export const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
