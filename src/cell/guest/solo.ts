/** The `solo` object that handlers receive: plain requests to the host, nothing more. */
import type { Json, Log, Solo } from "../../sdk/index.ts";
import { notJson } from "./json-value.ts";
import type { GuestSetup } from "./lines.ts";
import { refusalError, type Requests } from "./requests.ts";

export interface SoloPowers {
  readonly requests: Requests;
  readonly log: Log;
  /** The signal of the message at hand. */
  signal(): AbortSignal;
}

const toBase64 = (bytes: ArrayBuffer): string =>
  (new Uint8Array(bytes) as Uint8Array & { toBase64(): string }).toBase64();

const fromBase64 = (text: string): Uint8Array =>
  (Uint8Array as unknown as { fromBase64(text: string): Uint8Array }).fromBase64(text);

export interface Holder {
  state: any;
  restored: boolean;
}

export function createSolo(setup: GuestSetup, holder: Holder, powers: SoloPowers): Solo {
  const { requests, log } = powers;
  const ask = (method: string, ...args: unknown[]) => requests.send(method, args);

  /** The same with a value of the service's; one that JSON cannot hold is refused. */
  const send = async (method: string, name: string, value: unknown) => {
    const detail = notJson(value, "The value");
    if (detail === undefined) return ask(method, name, value ?? null);
    throw refusalError({ code: "invalid_argument", detail, hint: "Values are JSON." });
  };

  const timer = async (ms: number, repeat: boolean, message: Json) => {
    const id: unknown = await ask("timer.start", ms, repeat, message ?? null);
    return { cancel: async () => void (await ask("timer.cancel", id)) };
  };

  /** `what` answers with the name of what is listened to from now on. */
  const listening = async (what: Promise<any>) => {
    const resource: unknown = await what;
    return { cancel: async () => void (await ask("listening.stop", resource)) };
  };

  const serviceFetch: Solo["services"]["fetch"] = async (target, input, init) => {
    // Only the path matters; a bare path gets an origin so that it parses.
    const base = `http://${target}`;
    const request =
      typeof input === "string" || input instanceof URL
        ? new Request(new URL(input, base), init)
        : new Request(input, init);
    const { signal } = request;
    signal.throwIfAborted();
    const body = request.body === null ? null : toBase64(await request.arrayBuffer());
    signal.throwIfAborted();
    const head = {
      method: request.method,
      url: request.url,
      headers: [...request.headers],
    };
    const answer = await requests.send("services.fetch", [target, head, body], signal);
    const empty = answer.status === 204 || answer.status === 205 || answer.status === 304;
    return new Response(empty ? null : answer.body, {
      status: answer.status,
      headers: answer.headers,
    });
  };

  return Object.freeze({
    tenant: setup.tenant,
    service: setup.service,
    instance: setup.instance,
    get state() {
      return holder.state;
    },
    set state(value) {
      holder.state = value;
    },
    get restored() {
      return holder.restored;
    },
    get signal() {
      return powers.signal();
    },
    env: Object.freeze({ ...setup.env }),
    log,
    kv: Object.freeze({
      get: (key: string) => ask("kv.get", key),
      put: (key: string, value: unknown) => send("kv.put", key, value).then(() => {}),
      delete: (key: string) => ask("kv.delete", key).then(() => {}),
      list: (options = {}) => ask("kv.list", options),
      entry: (key: string) => ask("kv.entry", key),
      batch: (writes: readonly object[]) => ask("kv.batch", writes),
    }),
    secrets: Object.freeze({
      get: async (name: string) => {
        const { text } = await ask("secrets.get", name);
        if (text === undefined)
          throw new TypeError(`The secret ${name} is not text; use solo.secrets.getBytes.`);
        return text as string;
      },
      getBytes: async (name: string) => {
        const { text, base64 } = await ask("secrets.get", name);
        return text === undefined ? fromBase64(base64) : new TextEncoder().encode(text);
      },
    }),
    services: Object.freeze({
      call: (target: string, name: string, ...args: unknown[]) =>
        ask("services.call", target, name, args),
      cast: (target: string, name: string, ...args: unknown[]) =>
        ask("services.cast", target, name, args).then(() => {}),
      fetch: serviceFetch,
    }),
    events: Object.freeze({
      emit: (type: string, payload = {}) => ask("events.emit", type, payload).then(() => {}),
    }),
    publish: (topic: string, message: Json) => send("topic.publish", topic, message),
    subscribe: (topic: string) => listening(ask("topic.subscribe", topic)),
    monitor: (service: string) => listening(ask("monitor.start", service)),
    after: (ms: number, message: Json) => timer(ms, false, message),
    every: (ms: number, message: Json) => timer(ms, true, message),
    sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  }) as Solo;
}
