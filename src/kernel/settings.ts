/**
 * The configuration of the running kernel: what it started with, and what was changed since.
 *
 * 1. A change is checked as a whole, then on disk, then in force, then recorded as an event.
 * 2. Changes go before file, environment and flags, at this start and at every later one,
 *    until they are taken back.
 * 3. A stored change that no longer fits is reported and left out; the kernel starts.
 */
import type { Json } from "#api/operation.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { keyAt, pathOf } from "#config/keys.ts";
import { updateConfig, type LoadedConfig } from "#config/load.ts";
import type { Config } from "#config/schema.ts";
import { sourceText } from "#config/setting.ts";
import type { EventLog } from "#events/event-log.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "config";
const PAGE = 1000;

export interface SettingView {
  readonly key: string;
  readonly value: Json;
  readonly from: string;
  readonly runtime: boolean;
}

export interface SettingsOptions {
  readonly loaded: LoadedConfig;
  readonly kv: Kv;
  readonly events: EventLog;
  readonly log: Logger;
  /** Called with every configuration that comes into force. */
  readonly onChange?: ((config: Config) => void) | undefined;
}

/** By key; null takes a change back. */
export type Changes = Readonly<Record<string, Json | null>>;

export class Settings {
  /** Always what is in force: who reads it when it is needed has the newest. */
  readonly live: Config;
  readonly #options: SettingsOptions;
  #changed: ReadonlyMap<string, Json> = new Map();
  #current: LoadedConfig;
  #opened = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SettingsOptions) {
    this.#options = options;
    this.#current = options.loaded;
    const sections = Object.keys(options.loaded.config) as (keyof Config)[];
    this.live = Object.defineProperties(
      {},
      Object.fromEntries(
        sections.map((name) => [name, { enumerable: true, get: () => this.#current.config[name] }]),
      ),
    ) as Config;
  }

  /** Reads what was changed earlier; once, however often the storage restarts. */
  async open(): Promise<void> {
    if (this.#opened) return;
    const { kv, log } = this.#options;
    const changed = new Map<string, Json>();
    for (let after: string | undefined; ;) {
      const page = await kv.list(NAMESPACE, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const { key, value } of page) {
        try {
          const read = JSON.parse(Buffer.from(value).toString()) as Json;
          this.#apply(new Map([...changed, [key, read]]));
          changed.set(key, read);
        } catch (error) {
          log.error("a changed setting does not fit and is left out", {
            setting: key,
            reason: error instanceof SoloError ? error.message : "it cannot be read",
          });
        }
      }
      after = page.at(-1)?.key;
      if (page.length < PAGE || after === undefined) break;
    }
    this.#opened = true;
    this.#enforce(changed);
  }

  /** Every setting whose key is `prefix` or lies below it. */
  list(prefix = ""): SettingView[] {
    const keys = [...this.#current.sources.keys()];
    const wanted = keys.filter(
      (key) => prefix === "" || key === prefix || key.startsWith(`${prefix}.`),
    );
    if (wanted.length > 0) return wanted.map((key) => this.#view(key));
    throw new SoloError("not_found", `There is no setting ${prefix.slice(0, 64)} in force.`, {
      hint: "`solo config get` shows every one.",
    });
  }

  /** One after the other; resolves when the changes are on disk, in force and recorded. */
  change(changes: Changes): Promise<void> {
    const changing = this.#last.then(() => this.#change(changes));
    this.#last = changing.catch(() => {});
    return changing;
  }

  /** What the tenant has of its own, by name. */
  ownOf(tenant: string): readonly string[] {
    const prefix = `tenants.${tenant}.`;
    return [...this.#changed.keys()].filter(
      (key) => key.startsWith(prefix) && pathOf(key)[1] === tenant,
    );
  }

  /** Where a value comes from; undefined when nothing says it. */
  from(key: string): string | undefined {
    const source = this.#current.sources.get(key);
    return source && sourceText(source);
  }

  async #change(changes: Changes): Promise<void> {
    const { kv, events } = this.#options;
    const next = new Map(this.#changed);
    for (const [key, value] of Object.entries(changes)) {
      const known = keyAt(pathOf(key));
      if (value === null && known?.runtime === true) next.delete(key);
      // What is no key, or a fixed one, is left for the check to refuse; a section is no key.
      else next.set(key, known === undefined ? null : value);
    }
    this.#apply(next);
    const before = Object.keys(changes).map((key) => this.#valueOf(key));
    await kv.batch(
      Object.entries(changes).map(([key, value]) =>
        value === null
          ? { op: "delete", ns: NAMESPACE, key }
          : { op: "put", ns: NAMESPACE, key, value: Buffer.from(JSON.stringify(value)) },
      ),
    );
    this.#enforce(next);
    for (const [index, key] of Object.keys(changes).entries()) {
      const payload = { key, from: before[index] ?? null, to: this.#valueOf(key) ?? null };
      await events.append({ type: "config_changed", subject: key, payload });
    }
  }

  /** The whole configuration with these changes; throws what is wrong with it. */
  #apply(changed: ReadonlyMap<string, Json>): LoadedConfig {
    return updateConfig(this.#options.loaded, Object.fromEntries(changed));
  }

  #enforce(changed: ReadonlyMap<string, Json>): void {
    this.#current = this.#apply(changed);
    this.#changed = changed;
    this.#options.onChange?.(this.#current.config);
  }

  #valueOf(key: string): Json | undefined {
    let value: unknown = this.#current.config;
    for (const part of pathOf(key)) value = (value as Record<string, unknown> | undefined)?.[part];
    return value as Json | undefined;
  }

  #view(key: string): SettingView {
    return {
      key,
      value: this.#valueOf(key) ?? null,
      from: this.from(key) ?? "default",
      runtime: keyAt(pathOf(key))?.runtime === true,
    };
  }
}
