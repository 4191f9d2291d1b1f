/**
 * The tenants that were made known by name. Others come into being with their first service,
 * unless solo.open_tenants is false.
 *
 * 1. A tenant is on disk before it is acknowledged.
 * 2. max_tenants counts the known ones and those that have services, each once.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { isName, tenantId, type TenantId } from "#base/ids.ts";
import type { Config } from "#config/schema.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "tenants";
const PAGE = 1000;

interface Stored {
  readonly created_at_ms: number;
}

export interface TenantRegisterOptions {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly tenants: Tenants;
  readonly config: Config;
}

export class TenantRegister {
  readonly #options: TenantRegisterOptions;
  readonly #created = new Map<TenantId, Stored>();
  #opened = false;

  constructor(options: TenantRegisterOptions) {
    this.#options = options;
  }

  /** Reads what was made known earlier; once. */
  async open(): Promise<void> {
    if (this.#opened) return;
    for (let after: string | undefined; ;) {
      const page = await this.#options.kv.list(NAMESPACE, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of page) {
        if (isName(key)) {
          this.#created.set(tenantId(key), JSON.parse(Buffer.from(value).toString()) as Stored);
        }
      }
      after = page.at(-1)?.key;
      if (page.length < PAGE || after === undefined) break;
    }
    this.#opened = true;
  }

  /** In the order of their names. */
  all(): TenantId[] {
    const { tenants, config } = this.#options;
    const named = Object.keys(config.tenants).map(tenantId);
    return [...new Set([...this.#created.keys(), ...tenants.ids(), ...named])].toSorted();
  }

  has(tenant: TenantId): boolean {
    const { tenants, config } = this.#options;
    return (
      this.#created.has(tenant) || tenants.has(tenant) || Object.hasOwn(config.tenants, tenant)
    );
  }

  createdAtMs(tenant: TenantId): number | undefined {
    return this.#created.get(tenant)?.created_at_ms;
  }

  /** Why a first deploy may not bring this tenant into being, if it may not. */
  refusal(tenant: TenantId): SoloError | undefined {
    const { tenants, config } = this.#options;
    if (tenants.has(tenant) || this.#created.has(tenant)) return undefined;
    if (!config.solo.open_tenants && !Object.hasOwn(config.tenants, tenant))
      return unknownTenant(tenant);
    return this.#full();
  }

  async create(tenant: TenantId): Promise<void> {
    const { kv, clock, tenants } = this.#options;
    if (this.#created.has(tenant) || tenants.has(tenant)) {
      throw new SoloError("already_exists", `There is a tenant ${tenant}.`, {
        hint: "Set its limits instead, or choose another name.",
      });
    }
    const full = this.#full();
    if (full !== undefined) throw full;
    const stored: Stored = { created_at_ms: clock.wallMs() };
    this.#created.set(tenant, stored);
    try {
      const value = Buffer.from(JSON.stringify(stored));
      await kv.batch([{ op: "put", ns: NAMESPACE, key: tenant, value }]);
    } catch (error) {
      this.#created.delete(tenant);
      throw error;
    }
  }

  async forget(tenant: TenantId): Promise<void> {
    await this.#options.kv.batch([{ op: "delete", ns: NAMESPACE, key: tenant }]);
    this.#created.delete(tenant);
  }

  #full(): SoloError | undefined {
    const { tenants, config } = this.#options;
    const count = new Set([...this.#created.keys(), ...tenants.ids()]).size;
    const { max_tenants } = config.solo;
    if (count < max_tenants) return undefined;
    return new SoloError(
      "limit_exceeded",
      `There are ${count} tenants already; solo.max_tenants allows ${max_tenants}.`,
      {
        hint: "Delete tenants that are no longer needed, or raise the limit in the configuration.",
      },
    );
  }
}

export const unknownTenant = (tenant: string): SoloError =>
  new SoloError("not_found", `There is no tenant ${tenant}.`, {
    hint: "`solo tenants list` shows every one; `solo tenants create` makes one.",
  });
