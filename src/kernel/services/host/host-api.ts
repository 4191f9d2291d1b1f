/**
 * What a guest may ask of the kernel. Every method checks its arguments: they come from
 * hostile code.
 *
 * 1. Who asks is known from the slot the request came from, never from its content.
 * 2. Every request gets exactly one answer, unless the instance has ended.
 * 3. An answer with a body exists from the moment it is asked for: whoever gives it up is heard,
 *    also while the use of a handle is on its way to disk, and nothing flows before it is there.
 * 4. Every method states what it needs; what is not the service's own is checked against its
 *    handles before anything else is done. A service calls others with its own authority, and
 *    what it waits for from them ends with the handle that allowed it.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import { isName, NAME_RULE, type ServiceId, type ServiceKey } from "#base/ids.ts";
import type { EventLog } from "#events/event-log.ts";
import { type Channels, hearing } from "#kernel/services/messages/channels.ts";
import type { Answer } from "#kernel/services/host/answers.ts";
import type { ServiceKv } from "#kernel/services/host/service-kv.ts";
import type { Message } from "#kernel/services/messages/inbox.ts";
import type { ReplicaRequest } from "#kernel/services/replica/replica.ts";
import type { Service } from "#kernel/services/service.ts";
import type {
  ServiceAuthority,
  ServiceNeed,
  Use,
} from "#kernel/services/host/service-authority.ts";
import { Exchange } from "#kernel/services/messages/exchange.ts";
import type { Outbound } from "#kernel/services/host/outbound.ts";
import { fetchPayload, messagePayload } from "#kernel/services/messages/payload.ts";
import type { FetchHead } from "#wire/messages.ts";

export interface HostRequest extends ReplicaRequest {
  readonly service: Service;
  /** From a copy of the service that will be thrown away. */
  readonly onlyReads?: boolean;
}

export interface HostApiOptions {
  readonly find: (key: ServiceKey) => Service | undefined;
  readonly kv: ServiceKv;
  readonly events: EventLog;
  readonly outbound: Outbound;
  readonly channels: Channels;
  readonly authority: ServiceAuthority;
}

const NOTHING = "null";
/** Each of those who subscribed gets a copy. */
const MAX_PUBLISHED_CHARS = 64 * 1024;
/** As for callers from outside (api/fields.ts). Arguments become those of a function: a guest
 *  that is handed hundreds of thousands runs out of stack. */
const MAX_ARGS = 64;
const MAX_HANDLER_CHARS = 128;
/** What changes nothing outside the service. */
const READS: ReadonlySet<string> = new Set(["kv.get", "kv.entry", "kv.list"]);

/** The answer as JSON text. */
type Run = (from: HostRequest) => Promise<string> | string;

interface Unguarded {
  /** It reaches nothing but what is the service's own. */
  readonly needs: "own";
  readonly run: Run;
}

interface Guarded {
  readonly needs: (from: HostRequest) => ServiceNeed;
  readonly run: (from: HostRequest, use: Use) => ReturnType<Run>;
}

/** Its answer has a body. */
interface Streamed {
  /** `asks`: it asks the service's authority by itself, for each host that it comes to. */
  readonly needs: "asks" | Guarded["needs"];
  readonly stream: (from: HostRequest, answer: Answer, use: Use) => void;
}

export type Method = Unguarded | Guarded | Streamed;

const own = (run: Run): Method => ({ needs: "own", run });
const guarded = (needs: Guarded["needs"], run: Guarded["run"]): Method => ({ needs, run });
const ASKS_BY_ITSELF: Use = { recorded: undefined, onEnd: () => () => {} };

export class HostApi {
  readonly #options: HostApiOptions;
  readonly methods: Readonly<Record<string, Method>>;

  constructor(options: HostApiOptions) {
    this.#options = options;
    const { kv } = options;
    this.methods = {
      "kv.get": own(({ service, args }) => kv.get(service.key, args[0])),
      "kv.put": own(({ service, instance, args }) =>
        service.bounds.storage.put(args[0], args[1], instance),
      ),
      "kv.delete": own(({ service, args }) => service.bounds.storage.delete(args[0])),
      "kv.entry": own(({ service, args }) => kv.entry(service.key, args[0])),
      "kv.batch": own(({ service, instance, args }) =>
        service.bounds.storage.batch(args[0], instance),
      ),
      "kv.list": own(({ service, args }) => kv.list(service.key, args[0])),
      "secrets.get": guarded(
        ({ replica, instance, args }) => replica.secrets.needOf(instance.id, args[0]),
        ({ replica, instance, args }) => replica.secrets.get(instance.id, args[0]),
      ),
      "services.call": guarded(invocation("calls"), (from, use) => this.#call(from, use)),
      "services.cast": guarded(invocation("casts"), (from) => this.#cast(from)),
      "services.fetch": {
        needs: fetchNeed,
        stream: (from, answer, use) => this.#fetch(from, answer, use),
      },
      fetch: { needs: "asks", stream: (from, answer) => options.outbound.fetch(from, answer) },
      "events.emit": own((from) => this.#emit(from)),
      "topic.subscribe": guarded(
        ({ args }) => hearing(topicOf(args)),
        ({ replica, args }) => listenTo(replica, topicOf(args)),
      ),
      "topic.publish": guarded(
        ({ args }) => ({ permission: "publish", resource: topicOf(args) }),
        (from) => this.#publish(from),
      ),
      "monitor.start": guarded(
        ({ args }) => hearing(`service:${targetName(args)}`),
        (from) => listenTo(from.replica, `service:${this.#target(from).key.service}`),
      ),
      "listening.stop": own(({ replica, args }) => {
        replica.infos.listening.stop(args[0]);
        return NOTHING;
      }),
      "timer.start": own(({ replica, args }) =>
        String(replica.infos.timers.start(args[0], args[1], args[2])),
      ),
      "timer.cancel": own(({ replica, args }) => {
        replica.infos.timers.cancel(args[0]);
        return NOTHING;
      }),
    };
  }

  handle(from: HostRequest): void {
    const method = Object.hasOwn(this.methods, from.method) ? this.methods[from.method] : undefined;
    if (method !== undefined && "stream" in method) void this.#stream(from, method);
    else void this.#answer(from, method);
  }

  async #answer(from: HostRequest, method: Unguarded | Guarded | undefined): Promise<void> {
    try {
      if (method === undefined) throw denied(from.method);
      checkReads(from);
      const json =
        method.needs === "own"
          ? await method.run(from)
          : await method.run(from, await this.#use(from, method.needs));
      from.instance.answer(from.request, `+${json}`);
    } catch (error) {
      from.instance.answer(
        from.request,
        `-${JSON.stringify(withHint(toSoloError(error)).toBody())}`,
      );
    }
  }

  async #stream(from: HostRequest, { needs, stream }: Streamed): Promise<void> {
    const answer = from.instance.answers.begin(from.request);
    try {
      checkReads(from);
      const use = needs === "asks" ? ASKS_BY_ITSELF : await this.#use(from, needs);
      answer.signal.throwIfAborted();
      stream(from, answer, use);
    } catch (error) {
      answer.refuse(withHint(toSoloError(error)));
    }
  }

  /** Resolves when the use is on disk, if it has to be. */
  async #use(from: HostRequest, needs: Guarded["needs"]): Promise<Use> {
    const use = this.#options.authority.authorize(from.replica, needs(from));
    if (use.recorded !== undefined) await use.recorded;
    return use;
  }

  #target({ service, args }: HostRequest): Service {
    const name = targetName(args);
    const target = this.#options.find({ tenant: service.key.tenant, service: name });
    if (target !== undefined) return target;
    throw noService(name);
  }

  #message(from: HostRequest, kind: "call" | "cast"): Omit<Message, "outcome"> {
    const { name, args } = messageArgs(from, kind);
    return { kind, handler: `${kind}s.${name}`, payload: messagePayload(name, args) };
  }

  async #call(from: HostRequest, use: Use): Promise<string> {
    const target = this.#target(from);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const outcome = { reply: resolve, fail: reject };
    const dispatch = target.send({ ...this.#message(from, "call"), outcome });
    const forget = use.onEnd((refusal) => dispatch.cancel(refusal));
    try {
      return await promise;
    } finally {
      forget();
    }
  }

  async #cast(from: HostRequest): Promise<string> {
    let refused: SoloError | undefined;
    const outcome = { reply: () => {}, fail: (error: SoloError) => void (refused = error) };
    this.#target(from).send({ ...this.#message(from, "cast"), outcome });
    // A refusal comes within `send`; what happens later to a cast is nobody's answer.
    if (refused !== undefined) throw refused;
    return NOTHING;
  }

  #publish({ service, args }: HostRequest): string {
    const json = JSON.stringify(args[1] ?? null);
    if (json.length > MAX_PUBLISHED_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `The message has ${json.length} characters of JSON; a topic takes at most ${MAX_PUBLISHED_CHARS}.`,
        { hint: "Keep the data in solo.kv or behind a call, and publish its name." },
      );
    }
    const channel = { tenant: service.key.tenant, resource: topicOf(args) };
    return String(this.#options.channels.tell(channel, json));
  }

  #fetch(from: HostRequest, answer: Answer, use: Use): void {
    const target = this.#target(from);
    const { method, url, headers } = fetchArgs(from);
    const bodyText = from.args[2];
    const body = typeof bodyText === "string" ? Buffer.from(bodyText, "base64") : undefined;
    const exchange = new Exchange({
      body: body === undefined ? undefined : once(body),
      abort: () => {
        const gone = new SoloError("cancelled", "The caller is gone.");
        dispatch.cancel(gone);
        exchange.broke(gone);
      },
      signal: answer.signal,
    });
    const dispatch = target.send({
      kind: "fetch",
      handler: "fetch",
      payload: fetchPayload({ method, url: url.href, headers, body: body !== undefined }),
      bodies: exchange,
      outcome: { reply: () => {}, fail: (error) => exchange.fail(error) },
    });
    const forget = use.onEnd((refusal) => {
      dispatch.cancel(refusal);
      exchange.fail(refusal);
    });
    void exchange.finished.then(forget);
    exchange.response.then(
      ({ status, headers: received, body: stream }) =>
        answer.respond({ status, headers: received }, stream),
      (error: unknown) => answer.refuse(error),
    );
  }

  async #emit({ service, replica, args }: HostRequest): Promise<string> {
    const [type, payload = {}] = args;
    if (
      typeof type !== "string" ||
      typeof payload !== "object" ||
      payload === null ||
      Array.isArray(payload)
    ) {
      throw new SoloError("invalid_argument", "events.emit takes a type and a JSON object.");
    }
    if (replica.secrets.redact(type) !== type)
      throw new SoloError("invalid_argument", "The type of an event must not hold a secret.");
    const { tenant, service: subject } = service.key;
    this.#options.events.emit({
      type: `service.${type.replace(/^service\./, "")}`,
      tenantId: tenant,
      subject,
      payload: replica.secrets.redact(payload),
    });
    return NOTHING;
  }
}

/** Who writes a service looks elsewhere than who sends a request. */
const withHint = (error: SoloError): SoloError =>
  error.code === "invalid_argument" && error.options.hint === undefined
    ? new SoloError(error.code, error.message, {
        ...error.options,
        hint: "docs/services.md says what each part of solo takes.",
      })
    : error;

const noService = (name: unknown): SoloError =>
  new SoloError(
    "service_not_found",
    `There is no service ${(JSON.stringify(name) ?? "").slice(0, 80)} in this tenant.`,
    { hint: "Deploy it first, or check its service_id." },
  );

function targetName([name]: readonly unknown[]): ServiceId {
  if (typeof name === "string" && isName(name)) return name as ServiceId;
  throw noService(name);
}

function topicOf([name]: readonly unknown[]): string {
  if (typeof name === "string" && isName(name)) return `topic:${name}`;
  throw new SoloError("invalid_argument", `The name of a topic ${NAME_RULE}.`);
}

/** Answers with what `listening.stop` takes. */
function listenTo(replica: HostRequest["replica"], resource: string): string {
  replica.infos.listening.start(resource);
  return JSON.stringify(resource);
}

function messageArgs(
  from: HostRequest,
  kind: "call" | "cast",
): { readonly name: string; readonly args: readonly unknown[] } {
  const [, name, args = []] = from.args;
  if (typeof name !== "string" || !Array.isArray(args)) {
    throw new SoloError(
      "invalid_argument",
      `services.${kind} takes a service, a handler's name and arguments.`,
    );
  }
  if (name.length > MAX_HANDLER_CHARS)
    throw tooMany("name", `${name.length} characters`, MAX_HANDLER_CHARS);
  if (args.length > MAX_ARGS) throw tooMany("args", `${args.length} arguments`, MAX_ARGS);
  return { name, args };
}

function tooMany(field: string, has: string, most: number): SoloError {
  const message = `has ${has}; at most ${most} are passed on`;
  return new SoloError("invalid_argument", `${field} ${message}.`, {
    fields: [{ field, message }],
    hint: "Pass one object or list instead of many arguments.",
  });
}

/** What was checked is what is sent on: the URL is parsed once. */
function fetchArgs({ args }: HostRequest): {
  readonly method: string;
  readonly url: URL;
  readonly headers: FetchHead["headers"];
} {
  const { method, url, headers } = (args[1] ?? {}) as Readonly<Record<string, unknown>>;
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (typeof method === "string" && parsed !== null && Array.isArray(headers)) {
    return { method, url: parsed, headers };
  }
  throw new SoloError("invalid_argument", "services.fetch takes a service and a request.");
}

const invocation =
  (table: "calls" | "casts") =>
  (from: HostRequest): ServiceNeed => {
    const { name, args } = messageArgs(from, table === "calls" ? "call" : "cast");
    return invokes(from, `${table}.${name}`, args);
  };

function fetchNeed(from: HostRequest): ServiceNeed {
  const { method, url } = fetchArgs(from);
  return invokes(from, `fetch.${method}`, [url.pathname]);
}

const invokes = (
  { args: [target] }: HostRequest,
  handler: string,
  args: readonly unknown[],
): ServiceNeed => ({
  permission: "invoke",
  resource: `service:${targetName([target])}`,
  call: { handler, args },
});

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function checkReads({ onlyReads, method }: HostRequest): void {
  if (onlyReads === true && !READS.has(method)) throw rehearsing(method);
}

const rehearsing = (method: string): SoloError =>
  new SoloError(
    "permission_denied",
    `A dry run changes nothing outside of the service: ${method.slice(0, 80)} is not there.`,
    {
      hint: "Let codeChange, checkState and selfTest use solo.state and read solo.kv, and nothing else of solo; or update without a dry run.",
    },
  );

function denied(method: string): SoloError {
  return new SoloError("permission_denied", `This service was not granted ${method.slice(0, 80)}.`);
}
