/**
 * What a service keeps: its pairs in kv, and the state of its replicas.
 *
 * 1. The storage thread holds kv to the bounds, in the same transaction as the write: however
 *    many writes are under way, they are never passed. State has a bound of its own
 *    (`state_bytes`) and takes its room from kv's.
 */
import { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { overLimitText, type Killable, type ServiceLimits } from "#kernel/limits/service-limits.ts";
import type { KvBounds, ServiceKv, Written } from "#kernel/services/host/service-kv.ts";
import { APPROACH_AT } from "#limits/decide.ts";
import type { KvUsage } from "#storage/protocol.ts";

export interface ServiceStorageOptions {
  readonly limits: ServiceLimits;
  readonly kv: ServiceKv;
}

export class ServiceStorage {
  readonly #options: ServiceStorageOptions;
  /** By slot. */
  readonly #stateBytes = new Map<number, number>();
  /** As last asked; undefined until then. */
  #kv: KvUsage | undefined;
  /** Written since: at most so much more. */
  #since: KvUsage = { bytes: 0, keys: 0 };
  #asking: Promise<void> | undefined;

  constructor(options: ServiceStorageOptions) {
    this.#options = options;
  }

  get kv(): ServiceKv {
    return this.#options.kv;
  }

  async put(key: unknown, value: unknown, instance: Killable): Promise<string> {
    await this.#write(instance, (bounds) => this.kv.put(this.#key, key, value, bounds));
    return "null";
  }

  async batch(writes: unknown, instance: Killable): Promise<string> {
    const written = await this.#write(instance, (bounds) =>
      this.kv.batch(this.#key, writes, bounds),
    );
    return JSON.stringify(written.versions);
  }

  async delete(key: unknown): Promise<string> {
    const answer = await this.kv.delete(this.#key, key);
    this.#since = { bytes: this.#since.bytes + 1, keys: this.#since.keys };
    return answer;
  }

  stateSaved(slot: number, bytes: number): void {
    this.#stateBytes.set(slot, bytes);
    const { meter } = this.#options.limits;
    meter.read("state", Math.min(Math.max(...this.#stateBytes.values()), meter.limitOf("state")));
    this.#read();
  }

  /** What kv holds may have changed since it was asked. */
  get isStale(): boolean {
    return this.#asking === undefined && (this.#kv === undefined || this.#since.bytes > 0);
  }

  async refresh(): Promise<void> {
    await (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)));
  }

  /** The service is gone, with what it kept. */
  clear(): void {
    const { key, tenant } = this.#options.limits;
    tenant.stored(key.service, 0);
  }

  get #key(): ServiceKey {
    return this.#options.limits.key;
  }

  async #write(
    instance: Killable,
    write: (bounds: KvBounds) => Promise<Written>,
  ): Promise<Written> {
    const { meter, limits } = this.#options.limits;
    const measured = (chars: number) => void meter.read("kv_value", chars);
    try {
      const valueChars = limits.kvValueBytes;
      const written = await write({ valueChars, measured, within: this.#room() });
      const { bytes, keys } = this.#since;
      this.#since = { bytes: bytes + written.bytes, keys: keys + written.versions.length };
      this.#tellTenant();
      if (this.#isNear()) await this.refresh();
      return written;
    } catch (error) {
      if (!(error instanceof SoloError) || error.code !== "limit_exceeded") throw error;
      throw await this.#refused(error, instance);
    }
  }

  async #ask(): Promise<void> {
    const { limits, kv } = this.#options;
    this.#since = { bytes: 0, keys: 0 };
    this.#kv = await kv.usage(limits.key);
    this.#read();
  }

  get #stateTotal(): number {
    let total = 0;
    for (const bytes of this.#stateBytes.values()) total += bytes;
    return total;
  }

  #read(): void {
    const { meter } = this.#options.limits;
    const bytes = (this.#kv?.bytes ?? 0) + this.#stateTotal;
    meter.read("storage", Math.min(bytes, meter.limitOf("storage")));
    meter.read("kv_keys", this.#kv?.keys ?? 0);
    this.#tellTenant();
  }

  /** What was written since kv was asked counts in full, though it may have replaced something:
   *  others must not be given the same room. */
  #tellTenant(): void {
    const { key, tenant } = this.#options.limits;
    tenant.stored(key.service, (this.#kv?.bytes ?? 0) + this.#since.bytes + this.#stateTotal);
  }

  /** What kv may hold in all. */
  #room(): KvUsage {
    const { key, tenant, limits } = this.#options.limits;
    const bytes = Math.min(limits.storageBytes, tenant.storageLeft(key.service));
    return { bytes: Math.max(0, bytes - this.#stateTotal), keys: limits.kvKeys };
  }

  #isNear(): boolean {
    if (this.#kv === undefined) return true;
    const room = this.#room();
    return (
      this.#kv.bytes + this.#since.bytes >= room.bytes * APPROACH_AT ||
      this.#kv.keys + this.#since.keys >= room.keys * APPROACH_AT
    );
  }

  async #refused(error: SoloError, instance: Killable): Promise<SoloError> {
    this.#since = { bytes: this.#since.bytes + 1, keys: this.#since.keys };
    await this.refresh();
    const { key, tenant, meter, limits } = this.#options.limits;
    const [field] = error.options.fields ?? [];
    const byKeys = field?.field === "keys";
    const own = byKeys || tenant.storageLeft(key.service) >= limits.storageBytes;
    if (!own) {
      tenant.storageRefused();
      return full(`the services of tenant ${key.tenant} together`, "tenant_storage_mb", error);
    }
    const what = byKeys ? "kv_keys" : "storage";
    const name = byKeys ? "kv_keys" : "storage_bytes";
    meter.violated(what, meter.valueOf(what) + 1);
    if (limits.actions.storage === "kill") {
      instance.overLimit(overLimitText(name, "stored all that it may"));
    }
    return full(key.service, name, error);
  }
}

const full = (who: string, setting: string, cause: SoloError): SoloError =>
  new SoloError(
    "limit_exceeded",
    `There is no room for the value: ${who} may keep no more (limits.${setting}).`,
    {
      hint: `Delete what is no longer needed, or raise limits.${setting}.`,
      cause,
    },
  );
