/**
 * The secrets of a service, as one replica has them: which it may use, and which values must not
 * show up in what it says.
 *
 * 1. A service gets what its deployment binds, nothing else, and always the latest version.
 * 2. Every value that it was or may have been given is covered in its logs, its events and its
 *    errors: all kept versions of all bindings are known before an instance starts, so a value
 *    that comes out of its stored state is covered too.
 * 3. The use of a version is in the audit trail before its value is given: once for each
 *    instance and host, so that a loop of requests is no flood of events.
 */
import { isUtf8 } from "node:buffer";
import { SoloError } from "#base/errors.ts";
import { isName, type InstanceId, type ServiceKey } from "#base/ids.ts";
import type { SecretBinding } from "#deploy/secret-bindings.ts";
import type { ServiceNeed } from "#kernel/services/host/service-authority.ts";
import type { Secrets, UsedBy } from "#kernel/secrets.ts";
import { type Redactor, redactor } from "#vault/redactor.ts";
import { listOf } from "#vault/secret-forms.ts";
import type { SecretValue } from "#vault/secret-value.ts";

export interface ReplicaSecretsOptions {
  readonly key: ServiceKey;
  readonly bindings: readonly SecretBinding[];
  readonly vault: Secrets;
  /** Of the revision before: its values may be in the state that it hands over. */
  readonly before?: ReplicaSecrets | undefined;
}

/** Values known to one replica; beyond it the oldest are forgotten. */
const MAX_KNOWN = 500;
/** Uses and refusals told apart; beyond it they are recorded again. */
const MAX_TOLD = 1000;

interface Known {
  readonly name: string;
  readonly value: Buffer;
}

export class ReplicaSecrets {
  readonly bindings: readonly SecretBinding[];
  readonly #options: Omit<ReplicaSecretsOptions, "before">;
  readonly #known: Map<string, Known>;
  readonly #told = new Set<string>();
  #net: Redactor | undefined;

  constructor({ before, ...options }: ReplicaSecretsOptions) {
    this.#options = options;
    this.bindings = options.bindings;
    this.#known = new Map(before === undefined ? [] : before.#known);
    if (this.#known.size > 0) this.#weave();
  }

  /** To be awaited before an instance starts. */
  async prepare(): Promise<void> {
    const { vault, key } = this.#options;
    for (const { name } of this.bindings) {
      for (const version of vault.versionsOf(key.tenant, name)) {
        if (this.#known.has(knownKey(name, version))) continue;
        await this.#peek(name, version);
      }
    }
  }

  /** What another replica has come to know: a state that comes from there may hold it. */
  learn(other: ReplicaSecrets): void {
    const news = [...other.#known].filter(([id]) => !this.#known.has(id));
    for (const [id, known] of news) this.#add(id, known);
    if (news.length > 0) this.#weave();
  }

  /** Text or JSON that the service said, without the values of its secrets. */
  readonly redact = <T>(said: T): T =>
    this.#net === undefined ? said : (covered(said, this.#net) as T);

  /** What `solo.secrets.get` needs; refuses a name that the service does not have, or not to read. */
  needOf(instance: InstanceId, as: unknown): ServiceNeed {
    return { permission: "read", resource: resourceOf(this.#readable(instance, as)) };
  }

  /** The value for `solo.secrets.get`, as JSON: `{text}`, or `{base64}` when it is not UTF-8. */
  async get(instance: InstanceId, as: unknown): Promise<string> {
    using secret = await this.value(this.#readable(instance, as), { instance, use: "read" });
    const bytes = Buffer.from(secret.bytes);
    return JSON.stringify(
      isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString("base64") },
    );
  }

  #readable(instance: InstanceId, as: unknown): SecretBinding {
    const binding = this.bound(instance, as);
    if (binding.use === "read") return binding;
    throw this.denied(instance, binding.name, unreadable(binding));
  }

  /** The latest value of a bound secret; to be disposed of. */
  async value(
    { name }: SecretBinding,
    used: { instance: InstanceId; use: string; host?: string },
  ): Promise<SecretValue> {
    const { vault, key } = this.#options;
    const by = this.#by(used);
    const { secret, version, event } = await vault.read({ tenant: key.tenant, name }, by);
    try {
      const { instance, use, host = "" } = used;
      if (this.#isNew(`${instance} ${use} ${name} ${version} ${host}`))
        await vault.record(event, by);
      this.#learn(name, version, secret);
      return secret;
    } catch (error) {
      secret[Symbol.dispose]();
      throw error;
    }
  }

  /** The binding that the service knows as `as`; others do not exist for it. */
  bound(instance: InstanceId, as: unknown): SecretBinding {
    const found = this.bindings.find((each) => each.as === as);
    if (found !== undefined) return found;
    if (typeof as !== "string" || !isName(as))
      throw new SoloError("invalid_argument", "secrets.get takes the name of a secret.");
    throw this.denied(instance, as, unbound(as, this.bindings));
  }

  /** Records the refusal, once for each instance and name. */
  denied(instance: InstanceId, name: string, error: SoloError): SoloError {
    const { vault, key } = this.#options;
    if (this.#isNew(`${instance} denied ${name}`))
      vault.denied({ tenant: key.tenant, name }, error, this.#by({ instance, use: "denied" }));
    return error;
  }

  #by({ instance, use, host }: { instance: InstanceId; use: string; host?: string }): UsedBy {
    return {
      service_id: this.#options.key.service,
      instance_id: instance,
      ...(use !== "denied" && { use }),
      ...(host !== undefined && { host }),
    };
  }

  #isNew(use: string): boolean {
    if (this.#told.has(use)) return false;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.add(use);
    return true;
  }

  async #peek(name: string, version: number): Promise<void> {
    const { vault, key } = this.#options;
    const by = { service_id: key.service };
    try {
      const { secret } = await vault.read({ tenant: key.tenant, name, version }, by);
      using _ = secret;
      this.#learn(name, version, secret);
    } catch (error) {
      // Without storage the start fails, and is tried again. A secret that is gone or altered, or
      // opens only with its caller's key, is given to nobody: the service hears of it on `get`.
      if (error instanceof SoloError && error.code === "unavailable") throw error;
    }
  }

  #learn(name: string, version: number, secret: SecretValue): void {
    const id = knownKey(name, version);
    if (this.#known.has(id)) return;
    this.#add(id, { name, value: Buffer.from(secret.bytes) });
    this.#weave();
  }

  #add(id: string, known: Known): void {
    const oldest = this.#known.keys().next();
    if (this.#known.size >= MAX_KNOWN && !oldest.done) this.#known.delete(oldest.value);
    this.#known.set(id, known);
  }

  #weave(): void {
    this.#net = redactor(this.#known.values());
  }
}

const knownKey = (name: string, version: number): string => `${name} ${version}`;

function covered(said: unknown, net: Redactor): unknown {
  if (typeof said === "string") return net.redact(said);
  if (typeof said !== "object" || said === null) return said;
  const bytes = bytesIn(said);
  if (bytes !== undefined) {
    const list = listOf(bytes);
    const shown = net.redact(list);
    return shown === list ? said : shown;
  }
  if (Array.isArray(said)) return said.map((each) => covered(each, net));
  return Object.fromEntries(
    Object.entries(said).map(([key, each]) => [net.redact(key), covered(each, net)]),
  );
}

/** Of an array of bytes, or a Uint8Array as JSON has it: `{"0": 115, …}`. */
function bytesIn(said: object): readonly number[] | undefined {
  if (!Array.isArray(said) && !Object.hasOwn(said, "0")) return undefined;
  const values: unknown[] = Object.values(said);
  const areBytes = values.every((each) => Number.isInteger(each) && (each as number) >>> 8 === 0);
  return areBytes ? (values as number[]) : undefined;
}

/** Whoever may read a secret may have it filled in, too. */
export const needToFill = (binding: SecretBinding): ServiceNeed => ({
  permission: binding.use === "read" ? "read" : "use",
  resource: resourceOf(binding),
});

const resourceOf = ({ name }: SecretBinding): string => `secret:${name}`;

const unreadable = ({ as, hosts }: SecretBinding): SoloError =>
  new SoloError("permission_denied", `This service may use the secret ${as}, but not read it.`, {
    hint: `Write {{secret:${as}}} into a header of a request to ${hosts.join(" or ")}, or deploy the service with "use": "read" for it.`,
  });

function unbound(as: string, bindings: readonly SecretBinding[]): SoloError {
  const names = bindings.map((each) => each.as);
  const has = names.length === 0 ? "It has none." : `It has: ${names.join(", ")}.`;
  return new SoloError("permission_denied", `This service was not given a secret ${as}.`, {
    hint: `Deploy it with "secrets": [{"name": ${JSON.stringify(as)}}]. ${has}`,
  });
}
