/** Why a revision did not begin, in words about the agent's own source. */
import { SoloError } from "#base/errors.ts";
import { adviceOn } from "#kernel/services/instance/advice.ts";
import { describeCrash } from "#kernel/services/replica/crash-report.ts";
import { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Down } from "#wire/messages.ts";

export interface FailedStart {
  readonly error: unknown;
  readonly revision: Revision;
  readonly powers: ServicePowers;
}

interface Words {
  readonly message: string;
  readonly hint: string;
}

/** What the agent hears when its service did not start: its own exception, in its own source. */
export const startError = (failed: FailedStart): Promise<unknown> => inWords(failed, wordsOfStart);

/** What it hears when a new revision did not take the old one's state over. */
export const adoptionError = (failed: FailedStart): Promise<unknown> =>
  inWords(failed, wordsOfAdoption);

async function inWords(
  { error, revision, powers }: FailedStart,
  wordsOf: (down: Down, revision: Revision) => Words,
): Promise<unknown> {
  if (!(error instanceof InstanceCrash)) return error;
  const { down } = error;
  // Nothing is the matter with the source, and whoever decides by the code must not think so.
  if (error.withCell && error.blame === "innocent") return processEnded(down);
  const { message, hint } = wordsOf(down, revision);
  const { stack } = await describeCrash({ crash: error, revision, powers });
  return new SoloError(isLate(down) ? "startup_timeout" : "startup_failed", message, {
    hint,
    ...(saysWhere(stack) && { stack }),
  });
}

const processEnded = ({ message }: Down): SoloError =>
  new SoloError("unavailable", `The service did not begin: ${message}`, {
    hint: "It was not its doing: try again.",
    retryAfterMs: 200,
  });

const isLate = ({ reason }: Down): boolean => reason === "startup_timeout" || reason === "timeout";

const thrown = ({ name, message }: Down): string => `${name === "" ? "" : `${name}: `}${message}`;

function wordsOfStart(down: Down, { spec: { restartLimits, limits } }: Revision): Words {
  if (isLate(down)) {
    return {
      message: `The service was not ready within ${restartLimits.startupTimeoutMs} ms.`,
      hint: "Its top level or init does not end: look for loops and for awaits that never settle, or raise restart_limits.startup_timeout_ms.",
    };
  }
  const what =
    down.reason === "memory" ? `it passed its memory limit (${limits.memoryMb} MiB)` : thrown(down);
  return { message: `The service did not start: ${what}`, hint: startHint(down) };
}

function wordsOfAdoption(down: Down, { spec: { restartLimits } }: Revision): Words {
  if (isLate(down)) {
    return {
      message: `The new revision did not take the state over within ${restartLimits.codeChangeTimeoutMs} ms.`,
      hint: "codeChange, checkState or selfTest does not end; look for loops, or raise restart_limits.code_change_timeout_ms.",
    };
  }
  return {
    message: `The new revision did not take the state over: ${thrown(down)}`,
    hint: "The old revision serves on. Correct codeChange (or checkState, or selfTest) and update again.",
  };
}

function startHint({ reason, name, message }: Down): string {
  if (reason === "memory") return "Raise limits.memory_mb, or load less at once.";
  return adviceOn(name, message) ?? "Correct what threw at load or in init, and deploy again.";
}

/** One without a place in the source says nothing that the message does not. */
const saysWhere = (stack: string): boolean => /^\s+at /m.test(stack);
