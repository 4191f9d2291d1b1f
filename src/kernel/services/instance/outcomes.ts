/** How an instance's end, and a guest's own errors, look from outside. */
import { parseBounded } from "#base/bounded-json.ts";
import { isErrorCode, SoloError, type ErrorBody } from "#base/errors.ts";
import type { Blame } from "#kernel/cells/blame.ts";
import { adviceOn } from "#kernel/services/instance/advice.ts";
import type { ExitReason } from "#supervisor/child.ts";
import type { Down } from "#wire/messages.ts";

const MAX_DETAIL_CHARS = 16 * 1024;

/** Whose fault an end is, as far as it is known. */
export interface Fault {
  readonly blame: Blame;
  readonly withCell: boolean;
}

/** Why an instance ended when nobody asked it to. */
export class InstanceCrash extends Error {
  readonly down: Down;
  readonly blame: Blame;
  /** It ended because the process around it did. */
  readonly withCell: boolean;
  /** The dispatches that were being handled. */
  readonly handlers: readonly string[];
  constructor(down: Down, options: Fault & { handlers: readonly string[] }) {
    super(down.message);
    this.down = down;
    this.blame = options.blame;
    this.withCell = options.withCell;
    this.handlers = options.handlers;
  }

  /** Nothing says that this instance, and no other, caused it. */
  get innocent(): boolean {
    return this.blame !== "culprit";
  }
}

export const gone = (): SoloError =>
  new SoloError("service_not_running", "The instance has ended.");

export function exitOf(reason: Down["reason"], crash: InstanceCrash): ExitReason {
  if (reason === "stopped") return { kind: "normal" };
  if (reason === "dropped") return { kind: "killed" };
  return { kind: "crashed", error: crash };
}

export const down = (reason: Down["reason"], message: string): Down => ({
  reason,
  name: "",
  message,
  stack: "",
  unstarted: [],
});

/** What the sender of a dispatch hears when the instance ended under it. */
export function outcomeOf({ reason, name, message, current }: Down, id: number): SoloError {
  const hint =
    "The service is restarted by its supervisor; its status (last_crash) has the stack. Then decide whether to send it again.";
  if (reason === "exception" && current === id) {
    const advice = adviceOn(name, message);
    return new SoloError("service_crashed", `The handler threw ${name}: ${message}`, {
      hint: advice === undefined ? hint : `${advice} The status (last_crash) has the stack.`,
    });
  }
  if (reason === "stopped" || reason === "dropped") {
    return new SoloError("outcome_unknown", "The service was stopped while it handled this.", {
      hint: "Check whether it took effect before you send it again.",
    });
  }
  if (reason === "cell") {
    return new SoloError("outcome_unknown", `${message} Whether this was handled is not known.`, {
      hint,
    });
  }
  const what = {
    timeout: "ran for too long",
    memory: "passed its memory limit",
    limit: "passed a limit",
  } as const;
  const text =
    reason === "timeout" || reason === "memory" || reason === "limit" ? what[reason] : "crashed";
  return new SoloError(
    "service_crashed",
    `The instance ${text} while it handled this: ${message}`,
    { hint: reason === "memory" ? `Hold less at once, or raise limits.memory_mb. ${hint}` : hint },
  );
}

/** An error that a guest sent, without its secrets: only codes that a guest may cause are passed on. */
export function refusalFrom(text: string, redact: <T>(said: T) => T): SoloError {
  try {
    const body = redact(parseBounded(text) as ErrorBody);
    return SoloError.fromBody({
      ...body,
      code: isErrorCode(body.code) ? body.code : "service_error",
      detail: String(body.detail).slice(0, MAX_DETAIL_CHARS),
    });
  } catch {
    return new SoloError("service_error", "The service answered with a malformed error.");
  }
}
