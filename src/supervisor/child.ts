/**
 * What a supervisor supervises: the words of OTP's child specification.
 * https://www.erlang.org/doc/apps/stdlib/supervisor.html
 */

/** Why a child ended. `normal` and `shutdown` are orderly; the others are failures. */
export type ExitReason =
  | { readonly kind: "normal" }
  | { readonly kind: "shutdown"; readonly why?: string }
  | { readonly kind: "crashed"; readonly error: unknown }
  | { readonly kind: "killed" };

export const isOrderly = (reason: ExitReason): boolean =>
  reason.kind === "normal" || reason.kind === "shutdown";

export interface StopOptions {
  /** How long the child has before it is killed, in milliseconds. */
  readonly timeoutMs: number | "infinity";
}

/** Something that lives until it exits. */
export interface Child {
  /** Settles once, when nothing of the child is left. */
  readonly exited: Promise<ExitReason>;
  /** Asks for an orderly end; may be called again. A rejection means it cannot: it is killed. */
  stop(options: StopOptions): Promise<void>;
  /** Ends it at once; may be called again, also after the exit. */
  kill(): void;
  /** What runs below it, for a child that supervises. */
  tree?(): TreeNode;
}

/** `permanent`: always restarted. `transient`: after a failure only. `temporary`: never. */
export type RestartKind = "permanent" | "transient" | "temporary";
/** Milliseconds for an orderly stop, then kill; or kill at once; or wait as long as it takes. */
export type ShutdownKind = number | "brutal_kill" | "infinity";
export type ChildType = "worker" | "supervisor";

export interface ChildSpec<C extends Child = Child> {
  /** Unique within its supervisor. */
  readonly id: string;
  /**
   * Resolves when the child is ready. It should reject soon after `signal` aborts;
   * a child that comes up all the same is stopped. It bounds its own waiting.
   */
  start(signal: AbortSignal): Promise<C>;
  readonly restart: RestartKind;
  readonly shutdown: ShutdownKind;
  readonly type: ChildType;
}

/**
 * `restarting`: to be started again, perhaps after a delay. `stopped`: the spec is kept,
 * nothing runs.
 */
export type ChildState = "starting" | "running" | "stopping" | "restarting" | "stopped";

/** A picture of a subtree that JSON can carry. */
export interface TreeNode {
  readonly id: string;
  readonly type: ChildType;
  readonly state: ChildState;
  readonly restarts: number;
  readonly children: readonly TreeNode[];
}
