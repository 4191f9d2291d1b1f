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

export interface Kv {
  /** The value, or undefined. Keys are at most 512 characters, values 1 MiB of JSON. */
  get<T = Json>(key: string): Promise<T | undefined>;
  /** Resolves when the value is on disk. */
  put(key: string, value: unknown): Promise<void>;
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

export interface Services {
  /** A request to another service of the tenant; waits for its reply. */
  call<T = Json>(target: string, name: string, ...args: unknown[]): Promise<T>;
  /** A one-way message; resolves when it is in the target's mailbox. */
  cast(target: string, name: string, ...args: unknown[]): Promise<void>;
  /** An HTTP request to another service's `fetch`; only the path of the URL matters. */
  fetch(target: string, request: Request | string | URL, init?: RequestInit): Promise<Response>;
}

export interface Log {
  debug(...items: unknown[]): void;
  info(...items: unknown[]): void;
  warn(...items: unknown[]): void;
  error(...items: unknown[]): void;
}

export interface Solo<State = any> {
  readonly tenant: string;
  readonly service: string;
  readonly instance: string;
  /** The service's memory: persisted and migrated according to its persistence mode. */
  state: State;
  /** True in `init` when a stored state replaces what `init` returns. */
  readonly restored: boolean;
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
  /** Sends `message` to this service's `info` after `ms`. Survives nothing but the instance. */
  after(ms: number, message: Json): Promise<TimerHandle>;
  every(ms: number, message: Json): Promise<TimerHandle>;
  sleep(ms: number): Promise<void>;
  /** Fires when the caller of the current message is gone or its deadline has passed. */
  readonly signal: AbortSignal;
}

export interface TimerHandle {
  cancel(): Promise<void>;
}

export interface ListeningHandle {
  cancel(): Promise<void>;
}

/** What `info` gets of a service that is monitored. */
export interface ServiceDown {
  readonly kind: "down";
  readonly service: string;
  readonly reason: "crashed" | "quarantined" | "killed";
  readonly message: string;
}

export interface FetchContext {
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
}

export interface ServiceDefinition<State = any> {
  /** The author's own name for this version; `codeChange` of the next one is told it. */
  version?: string;
  /** Lets `fetch` and calls interleave; otherwise one message at a time, in arrival order. */
  concurrent?: boolean;
  /** Runs at every start, before the first message; what it returns is the state. Its `solo`
   *  has no state yet: so the state's type can be inferred from what this returns. */
  init?(solo: Solo<unknown>, args: any): MaybePromise<State>;
  calls?: Record<string, (solo: Solo<State>, ...args: any[]) => unknown>;
  casts?: Record<string, (solo: Solo<State>, ...args: any[]) => unknown>;
  /** Timers, monitors, subscriptions. */
  info?(solo: Solo<State>, message: any): unknown;
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
  terminate?(solo: Solo<State>, reason: string): unknown;
}

export const defineService = <State>(
  definition: ServiceDefinition<State>,
): ServiceDefinition<State> => definition;
