/**
 * The closed set of messages between the kernel and a cell.
 *
 * 1. The kernel learns the tenant from the socket; no message names one to it.
 * 2. `slot` names an instance within the cell; the kernel chooses it and never reuses it.
 * 3. `id` names a dispatch (kernel → cell) or a request (guest → kernel) within its slot.
 * 4. Arguments and replies are JSON text that the kernel passes through unread.
 */
/** Kernel → cell. */
export const TO_CELL = {
  /** Prepare and start an instance. Payload: StartInstance. */
  start: 1,
  /** Messages for a guest's mailbox; the payload of call and cast is `[name, args]`. */
  call: 2,
  cast: 3,
  info: 4,
  /** Payload: FetchHead. */
  fetch: 5,
  /** A piece of a request's body; empty payload ends it. */
  body: 6,
  /** The kernel took `id`'s body bytes: payload is their number. */
  credit: 7,
  /** The caller of dispatch `id` is gone. */
  cancel: 8,
  /** Answer to a guest's request: `+json` or `-ErrorBody`. */
  answer: 9,
  /** A piece of the body of an answer's response, as far as the guest's credit goes; empty
   *  payload ends it. */
  answerBody: 10,
  /** Run `terminate` with the reason in the payload, then end. */
  stop: 11,
  /** Dispose of the instance at once. */
  drop: 12,
  /** Send the encoded state. Payload: SnapshotWish; the answer has the same id. */
  snapshot: 13,
  /** Take this state over, for an instance that was started for it. Payload: Adoption. */
  adopt: 14,
  /** Run nothing of the instance for so many ms: the payload. */
  pause: 15,
} as const;

/** Cell → kernel. */
export const FROM_CELL = {
  /** The cell can take work. */
  ready: 1,
  /** The instance has run `init`. Payload: Started. */
  started: 2,
  /** Reply of dispatch `id`, JSON. An empty payload: handled, nothing to say. */
  reply: 3,
  /** Dispatch `id` failed, the instance goes on. Payload: ErrorBody. */
  failed: 4,
  /** Head of the response to fetch `id`. Payload: ResponseHead. */
  head: 5,
  body: 6,
  credit: 7,
  /** The body of `id` broke off. Payload: ErrorBody. */
  bodyFailed: 8,
  /** A guest's request. Payload: `[method, args]`. */
  request: 9,
  /** Payload: LogLine. */
  log: 10,
  /** Encoded state; a later reply of the slot is based on it. The id is that of the request
   *  for it; 0: sent unasked. */
  state: 11,
  /** Answer to `snapshot` without a state. Payload: nothing when it has not changed or the
   *  guest is not idle, else the ErrorBody of why there is none. */
  unchanged: 12,
  /** The instance is gone. Payload: Down. */
  down: 13,
  /** Payload: Heartbeat. */
  heartbeat: 14,
  /** The guest took bytes of the body of answer `id`: payload is their number. -1: it wants
   *  neither the answer nor the rest of its body any more. */
  answerCredit: 15,
  /** The state that an adoption has led to, encoded. */
  adopted: 16,
  /** Before `adopted`, when it was asked for. Payload: StateShapes. */
  shapes: 17,
  /** A bound that is held within the isolate was passed. Payload: Excess. */
  excess: 18,
} as const;

const SNAPSHOT_WISHES = [
  "changed", // if it has changed since it was last told
  "present", // as it would be stored, changed or not
  "whole", // with the keys that are not stored
  "idle", // as it would be stored, if the guest waits for nothing
] as const;
export type SnapshotWish = (typeof SNAPSHOT_WISHES)[number];

export interface Module {
  readonly path: string;
  readonly code: string;
}

/** How an instance comes by its state. */
export type StateSource =
  | { readonly from: "init" }
  /** `init` runs; then this state replaces what it returned, migrated if other code wrote it. */
  | {
      readonly from: "stored";
      readonly state: string;
      readonly migrate: boolean;
      readonly version?: string;
    }
  /** It goes on with this state: `init` does not run. */
  | { readonly from: "asleep"; readonly state: string }
  /** `codeChange` migrates this state; `init` does not run. */
  | { readonly from: "revision"; readonly state: string; readonly version?: string }
  /** The module is loaded and nothing of it runs until the state comes with `adopt`. */
  | { readonly from: "handover" };

/** A state that a loaded instance takes over. */
export interface Adoption {
  readonly state: string;
  /** `downgrade` runs in the newer code and makes a state for the older. */
  readonly via: "codeChange" | "downgrade" | "as_it_is";
  /** What the service calls the version that the state is from or, to downgrade, for. */
  readonly version?: string;
  readonly shapes?: boolean;
  readonly selfTest?: boolean;
  /** Tell the state with the keys that are not stored. */
  readonly whole?: boolean;
  readonly timeoutMs: number;
}

/** From path to type. */
export type StateShape = Readonly<Record<string, string>>;

export interface StateShapes {
  readonly before: StateShape;
  readonly after: StateShape;
}

/** Requests of one instance that are under way: so many, of so much JSON together. One that is
 *  larger than that is asked alone. */
export const REQUEST_WINDOW = { requests: 512, chars: 8 * 1024 * 1024 } as const;

/** Lines of its log that a guest may say in one turn; the thread that passes them on is that of
 *  all guests of a cell. */
export const LOG_LINES_PER_TURN = 2000;

/** Key and nonce of ChaCha20. */
export const SEED_BYTES = 44;

export interface StartInstance {
  readonly tenant: string;
  readonly service: string;
  readonly instance: string;
  readonly entry: string;
  readonly modules: readonly Module[];
  /** Base64 of SEED_BYTES random bytes, from which the guest's randomness comes. */
  readonly seed: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args: unknown;
  readonly state: StateSource;
  /** Encode the state after every message. */
  readonly durable: boolean;
  /** Encode the state when the instance ends in an orderly way. */
  readonly keepState: boolean;
  readonly memoryMb: number;
  readonly startupTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly stateBytes: number;
  /** Patterns of the state's keys that are not stored. */
  readonly excluded: readonly string[];
  /** False once this service has overrun the fast lane. */
  readonly fastLane: boolean;
}

export interface Started {
  readonly version?: string;
  readonly handlers: readonly string[];
  /** Which of codeChange, downgrade, checkState, selfTest and concurrent it declares. */
  readonly traits?: readonly string[];
}

export interface FetchHead {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: boolean;
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: boolean;
}

/** What a guest itself keeps within bounds, and how it is told that they were passed. */
export const EXCESSES = [
  "state", // value: bytes that the state had, encoded
  "log_lines", // value: lines that were dropped
] as const;

export interface Excess {
  readonly what: (typeof EXCESSES)[number];
  readonly value: number;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly level: LogLevel;
  readonly text: string;
}

/** Why an instance is gone. */
export const DOWN_REASONS = [
  "stopped", // terminate ran
  "dropped", // the kernel said so
  "exception", // the guest's code threw
  "timeout", // it did not give the thread back in time
  "memory", // it passed its memory limit
  "limit", // it passed another limit whose action is kill
  "load_failed", // it never started: the module or init threw
  "startup_timeout",
  "cell", // the process around it died
] as const;
export type DownReason = (typeof DOWN_REASONS)[number];

export interface Down {
  readonly reason: DownReason;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** The dispatch that was being handled, if any. */
  readonly current?: number;
  /** Dispatches that had not begun: safe to give to the next instance. */
  readonly unstarted: readonly number[];
  /** The last dispatch that reached the instance: later ones met its end, and had not begun. */
  readonly seen?: number;
  /** How long it ran in its whole life, ms on the clock. */
  readonly ranMs?: number;
  /** The instance was in the fast lane and overran it. */
  readonly fastLane?: boolean;
}

export interface Heartbeat {
  readonly instances: readonly {
    readonly slot: number;
    /** How long it has run since its start, ms on the clock. */
    readonly ranMs: number;
    /** Left out while the instance runs. */
    readonly heapBytes?: number;
  }[];
}
