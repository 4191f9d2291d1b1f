/** One checked record a service, in a namespace of its own. */
import { keyText, type ServiceId, type ServiceKey, type TenantId } from "#base/ids.ts";
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";
import type { KvOp } from "#storage/protocol.ts";

const PAGE = 500;

export interface Keyed {
  readonly key: ServiceKey;
}

interface Names {
  readonly form: number;
  readonly tenant: string;
  readonly service: string;
}

/** `form`: of the record; one of another form is not read. */
export class Records<R extends Keyed> {
  readonly #kv: Kv;
  readonly #namespace: string;
  readonly #form: number;

  constructor(options: { kv: Kv; namespace: string; form: number }) {
    this.#kv = options.kv;
    this.#namespace = options.namespace;
    this.#form = options.form;
  }

  /** Undefined when there is none, or it cannot be read. */
  async get(key: ServiceKey): Promise<R | undefined> {
    return (await this.find(key))?.record;
  }

  /** The same with its version, for a write that must not meet another. */
  async find(key: ServiceKey): Promise<{ record: R; version: number } | undefined> {
    const entry = await this.#kv.get(this.#namespace, keyText(key));
    const record = entry && this.#read(entry.value);
    return record && { record, version: entry.version };
  }

  /** All that can be read, by `keyText`. */
  async all(): Promise<Map<string, R>> {
    const found = new Map<string, R>();
    for (let after: string | undefined; ;) {
      const page = await this.#kv.list(this.#namespace, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const { key, value } of page) {
        const record = this.#read(value);
        if (record !== undefined) found.set(key, record);
      }
      if (page.length < PAGE) return found;
      after = page.at(-1)!.key;
    }
  }

  put({ key, ...rest }: R): KvOp {
    const stored = { form: this.#form, ...rest, tenant: key.tenant, service: key.service };
    const value = withChecksum(JSON.stringify(stored));
    return { op: "put", ns: this.#namespace, key: keyText(key), value };
  }

  removal(key: ServiceKey, ifVersion?: number): KvOp {
    return { op: "delete", ns: this.#namespace, key: keyText(key), ifVersion };
  }

  #read(value: Uint8Array): R | undefined {
    const body = checked(value);
    const stored = body && (JSON.parse(body.toString()) as Names);
    if (stored?.form !== this.#form) return undefined;
    const { form: _form, tenant, service, ...rest } = stored;
    const key = { tenant: tenant as TenantId, service: service as ServiceId };
    // What has the form and the checksum is what `put` wrote.
    return { ...rest, key } as unknown as R;
  }
}
