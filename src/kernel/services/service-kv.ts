/** `solo.kv`: durable pairs of a service's own. Values are JSON text, passed through unread. */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Kv } from "#storage/kv.ts";

const MAX_KEY_CHARS = 512;
const MAX_VALUE_CHARS = 1024 * 1024;
const MAX_LIST = 1000;
const DEFAULT_LIST = 100;

const namespaceOf = (service: ServiceKey): string => `kv:${keyText(service)}`;

export class ServiceKv {
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  async get(service: ServiceKey, key: unknown): Promise<string> {
    const entry = await this.#kv.get(namespaceOf(service), checkKey(key));
    return entry === undefined ? "" : Buffer.from(entry.value).toString();
  }

  async put(service: ServiceKey, key: unknown, value: unknown): Promise<string> {
    const text = JSON.stringify(value ?? null);
    if (text.length > MAX_VALUE_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `The value has ${text.length} characters of JSON; at most ${MAX_VALUE_CHARS} are stored.`,
        {
          hint: "Split the value over several keys.",
        },
      );
    }
    const put = {
      op: "put",
      ns: namespaceOf(service),
      key: checkKey(key),
      value: Buffer.from(text),
    } as const;
    await this.#kv.batch([put]);
    return "null";
  }

  async delete(service: ServiceKey, key: unknown): Promise<string> {
    await this.#kv.batch([{ op: "delete", ns: namespaceOf(service), key: checkKey(key) }]);
    return "null";
  }

  async list(service: ServiceKey, options: unknown): Promise<string> {
    const { prefix, after, limit = DEFAULT_LIST } = (options ?? {}) as Record<string, unknown>;
    if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIST) {
      throw new SoloError(
        "invalid_argument",
        `limit must be a whole number from 1 to ${MAX_LIST}.`,
      );
    }
    const entries = await this.#kv.list(namespaceOf(service), {
      limit,
      ...(typeof prefix === "string" && { prefix }),
      ...(typeof after === "string" && { after }),
    });
    const texts = entries.map(
      ({ key, value }) => `{"key":${JSON.stringify(key)},"value":${Buffer.from(value).toString()}}`,
    );
    return `[${texts.join(",")}]`;
  }

  /** Everything the service has stored, gone. */
  async clear(service: ServiceKey): Promise<void> {
    const ns = namespaceOf(service);
    for (;;) {
      const page = await this.#kv.list(ns, { limit: MAX_LIST });
      if (page.length === 0) return;
      await this.#kv.batch(page.map(({ key }) => ({ op: "delete", ns, key }) as const));
    }
  }
}

function checkKey(key: unknown): string {
  if (typeof key === "string" && key !== "" && key.length <= MAX_KEY_CHARS) return key;
  throw new SoloError(
    "invalid_argument",
    `A key must be a text of 1 to ${MAX_KEY_CHARS} characters.`,
  );
}
