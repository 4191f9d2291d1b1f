/** How an instance's end, and a guest's own errors, look from outside. */
import { isErrorCode, SoloError, type ErrorBody } from "#base/errors.ts";
import type { ExitReason } from "#supervisor/child.ts";
import type { Down } from "#wire/messages.ts";

const MAX_DETAIL_CHARS = 16 * 1024;

/** Why an instance ended when nobody asked it to. */
export class InstanceCrash extends Error {
  readonly down: Down;
  /** The cell died and this instance had nothing to do with it. */
  readonly innocent: boolean;
  /** The dispatches that were being handled. */
  readonly handlers: readonly string[];
  constructor(down: Down, options: { innocent: boolean; handlers: readonly string[] }) {
    super(down.message);
    this.down = down;
    this.innocent = options.innocent;
    this.handlers = options.handlers;
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
    "The service is restarted by its supervisor; look at its last_crash, then decide whether to send it again.";
  if (reason === "exception" && current === id) {
    return new SoloError("service_crashed", `The handler threw ${name}: ${message}`, { hint });
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
  const what = { timeout: "ran for too long", memory: "passed its memory limit" } as const;
  const text = reason === "timeout" || reason === "memory" ? what[reason] : "crashed";
  return new SoloError(
    "service_crashed",
    `The instance ${text} while it handled this: ${message}`,
    { hint },
  );
}

/** An error that a guest sent: only codes that a guest may cause are passed on. */
export function refusalFrom(text: string): SoloError {
  try {
    const body = JSON.parse(text) as ErrorBody;
    return SoloError.fromBody({
      ...body,
      code: isErrorCode(body.code) ? body.code : "service_error",
      detail: String(body.detail).slice(0, MAX_DETAIL_CHARS),
    });
  } catch {
    return new SoloError("service_error", "The service answered with a malformed error.");
  }
}
