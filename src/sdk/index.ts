/**
 * What a service author imports: types that complete and check a service's definition.
 * At run time `defineService` returns its argument; the same object without it works too.
 */

/** Anything JSON can hold; arguments and replies are JSON on every way in. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

type MaybePromise<T> = T | Promise<T>;

/**
 * An error meant for the caller: it becomes the reply `service_error` with this message and
 * code, and the service goes on. Any other exception from a call, cast or info is a crash:
 * the instance is replaced, as in Erlang.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a rejected `solo.*` request throws: `code` is one of Solo's error codes. */
export interface SoloRequestError extends Error {
  readonly code: string;
  readonly hint?: string;
}

/** The service's own keys and values; they outlive its instances and its updates. */
export interface Kv {
  /** The value, or undefined. Keys are at most 512 characters, values 1 MiB of JSON. */
  get<T = Json>(key: string): Promise<T | undefined>;
  /** Resolves when the value is on disk. */
  put(key: string, value: unknown): Promise<void>;
  /** Resolves when it is gone from the disk; a key that is not there is no error. */
  delete(key: string): Promise<void>;
  /**
   * Entries in key order, at most `limit` (100 unless given, 1000 at most). Large values end
   * a page early: go on with `after` the last key until a page is empty.
   */
  list<T = Json>(options?: {
    prefix?: string;
    after?: string;
    limit?: number;
  }): Promise<{ key: string; value: T; version: number }[]>;
  /** The value with its version, or undefined. A version names one write for ever. */
  entry<T = Json>(key: string): Promise<{ value: T; version: number } | undefined>;
  /**
   * All of the writes or none, at most 500 with 4 MiB of JSON; resolves when they are on disk,
   * with the new version of each put and 0 for a delete. Throws `conflict` when the key of a
   * write with `ifVersion` has another version; `ifVersion: 0` means that it must not exist.
   */
  batch(writes: readonly KvWrite[]): Promise<number[]>;
}

/** One write of a batch. `ifVersion`: only while the key has this version; 0: no entry. */
export type KvWrite =
  | { put: string; value: unknown; ifVersion?: number }
  | { delete: string; ifVersion?: number };

export interface Secrets {
  /** The latest version of a secret that the deployment binds, as text. Ask when you need it:
   *  after a rotation it is the new one. What you read, you can leak; see `use: "inject"`. */
  get(name: string): Promise<string>;
  /** The same for values that are not text. */
  getBytes(name: string): Promise<Uint8Array>;
}

/** The tenant's other services: throws `service_not_found`, `permission_denied`, or what the
 *  message came to there. */
export interface Services {
  /** A request to another service of the tenant; waits for its reply. */
  call<T = Json>(target: string, name: string, ...args: unknown[]): Promise<T>;
  /** A one-way message; resolves when it is in the target's mailbox. */
  cast(target: string, name: string, ...args: unknown[]): Promise<void>;
  /** An HTTP request to another service's `fetch`; only the path of the URL matters. Its
   *  `signal` gives it up, the response's body included. */
  fetch(target: string, request: Request | string | URL, init?: RequestInit): Promise<Response>;
}

/** Lines of the service's log; items are formatted as `console` would. */
export interface Log {
  debug(...items: unknown[]): void;
  info(...items: unknown[]): void;
  warn(...items: unknown[]): void;
  error(...items: unknown[]): void;
}

/** What every handler is given: the service's state, and its ways out. */
export interface Solo<State = any> {
  /** Ids: of the tenant, of the service in it, and of this running copy. */
  readonly tenant: string;
  readonly service: string;
  readonly instance: string;
  /** The service's memory: persisted and migrated according to its persistence mode. */
  state: State;
  /** True in `init` when a stored state replaces what `init` returns. */
  readonly restored: boolean;
  /** The deployment's settings. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: Log;
  readonly kv: Kv;
  readonly secrets: Secrets;
  readonly services: Services;
  readonly events: {
    /** An event of the service's own in the audit log; `type` gets the prefix `service.`. */
    emit(type: string, payload?: { [key: string]: Json }): Promise<void>;
  };
  /** Sends `message` to `info` of the tenant's services that have subscribed; resolves with how
   *  many took it. At most 64 KiB of JSON; who does not listen does not hear it later. */
  publish(topic: string, message: Json): Promise<number>;
  /** From now on `info` gets what is published under `topic`, until the instance ends. */
  subscribe(topic: string): Promise<ListeningHandle>;
  /** From now on `info` gets a ServiceDown whenever `service` crashes, is quarantined or killed. */
  monitor(service: string): Promise<ListeningHandle>;
  /** Sends `message`, at most 16 KiB of JSON, to this service's `info` once, after `ms`
   *  milliseconds. It ends with the instance; sleep and an update it survives. */
  after(ms: number, message: Json): Promise<TimerHandle>;
  /** The same again and again, every `ms` milliseconds; 10 at least. */
  every(ms: number, message: Json): Promise<TimerHandle>;
  /** Resolves after `ms` milliseconds. */
  sleep(ms: number): Promise<void>;
  /** Fires when the caller of the current message is gone or its deadline has passed. */
  readonly signal: AbortSignal;
}

/** A message that is due. */
export interface TimerHandle {
  /** Nothing of it is delivered from then on. */
  cancel(): Promise<void>;
}

/** A subscription, or the monitoring of a service. */
export interface ListeningHandle {
  /** Nothing is heard from then on. */
  cancel(): Promise<void>;
}

/** What `info` gets of a service that is monitored. */
export interface ServiceDown {
  readonly kind: "down";
  readonly service: string;
  readonly reason: "crashed" | "quarantined" | "killed";
  readonly message: string;
}

/** As other platforms hand it to `fetch`, so that what was written for them runs here. */
export interface FetchContext {
  /** Changes nothing: an instance lives on after its response, and a rejection is a crash. */
  waitUntil(promise: Promise<unknown>): void;
  /** Does nothing: there is no origin behind a service. */
  passThroughOnException(): void;
}

/** A service: what it begins with and what it answers. All parts are optional, and any handler
 *  may be async. */
export interface ServiceDefinition<State = any> {
  /** The author's own name for this version; `codeChange` of the next one is told it. */
  version?: string;
  /** Lets `fetch` and calls interleave; otherwise one message at a time, in arrival order. */
  concurrent?: boolean;
  /** Runs at every start, before the first message; what it returns is the state. Its `solo`
   *  has no state yet: so the state's type can be inferred from what this returns. */
  init?(solo: Solo<unknown>, args: any): MaybePromise<State>;
  /** Requests by name; what is returned, as JSON, is the reply. */
  calls?: Record<string, (solo: Solo<State>, ...args: any[]) => unknown>;
  /** One-way messages by name; their senders have been answered already. */
  casts?: Record<string, (solo: Solo<State>, ...args: any[]) => unknown>;
  /** What timers, monitors and subscriptions deliver. */
  info?(solo: Solo<State>, message: any): unknown;
  /** HTTP requests under `/s/{tenant}/{service}/`. An exception is a response with status 500. */
  fetch?(request: Request, solo: Solo<State>, ctx: FetchContext): MaybePromise<Response>;
  /** Makes this version's state of a copy of another version's, at an update. */
  codeChange?(oldState: any, from: string | undefined): MaybePromise<State>;
  /** Makes the state that the older version `to` can use of this version's, at a rollback that
   *  asks for it (`watchdog.state_on_rollback`). */
  downgrade?(state: State, to: string | undefined): unknown;
  /** Looks at a state that is about to be taken over; false or an exception refuses it. */
  checkState?(state: State): MaybePromise<boolean | void>;
  /** Runs before an update takes over, in a copy that is thrown away afterwards: `solo.kv` can
   *  be read, everything else that reaches outside is refused. False or an exception refuses
   *  the update. */
  selfTest?(solo: Solo<State>): MaybePromise<boolean | void>;
  /** Runs at an orderly end, within `restart_limits.shutdown_timeout_ms`; may still use `solo`. */
  terminate?(solo: Solo<State>, reason: string): unknown;
}

/** Returns what it is given; it is there to infer the state's type. */
export const defineService = <State>(
  definition: ServiceDefinition<State>,
): ServiceDefinition<State> => definition;
