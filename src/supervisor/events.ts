/** What a supervisor tells whoever keeps the account. */
import type { ExitReason } from "#supervisor/child.ts";

export type ChildEvent =
  | { readonly kind: "child_started"; readonly restarts: number }
  | { readonly kind: "child_start_failed"; readonly error: unknown }
  /** `asked`: the supervisor stopped it. */
  | { readonly kind: "child_exited"; readonly reason: ExitReason; readonly asked: boolean }
  | {
      readonly kind: "child_restarting";
      readonly reason: ExitReason;
      /** The how-manieth failure of this child within the window; counts from 1. */
      readonly attempt: number;
      readonly delayMs: number;
    }
  /** It was killed and did not go: something of it may be left. */
  | { readonly kind: "child_abandoned" }
  /** It failed once too often: the supervisor stops its children and exits. */
  | { readonly kind: "gave_up"; readonly reason: ExitReason; readonly failures: number };

export type SupervisorEvent = ChildEvent & {
  /** The supervisor's own id. */
  readonly supervisor: string;
  /** The child's id. */
  readonly id: string;
};
