/** Why a service does not take a message. */
import { SoloError, type ErrorCode } from "#base/errors.ts";
import type { ServiceId, ServiceKey } from "#base/ids.ts";
import type { Rollout } from "#deploy/rollout.ts";
import type { ServiceState } from "#kernel/services/replica/lifecycle.ts";

const MAX_NAMES = 20;

/** Why a service did not come back after the kernel's start. */
export interface HeldBack {
  readonly code: ErrorCode;
  readonly detail: string;
  /** How often in a row it did not. */
  readonly failures: number;
  /** Wall clock; undefined when only a person can help. */
  readonly nextTryAtMs: number | undefined;
}

/** For a service that is not up. */
export function notUp(service: ServiceId, state: ServiceState, heldBack?: HeldBack): SoloError {
  if (state === "quarantined" && heldBack !== undefined) {
    const { code, detail, nextTryAtMs } = heldBack;
    const next =
      nextTryAtMs === undefined
        ? "It is not tried again by itself"
        : `It is tried again at ${new Date(nextTryAtMs).toISOString()}`;
    const now =
      code === "storage_corrupt"
        ? `import a state with \`solo state import ${service} FILE\`, or start with a fresh one with \`solo state reset ${service}\``
        : "restart it to try now, or update it if its code is the cause";
    return new SoloError(
      "service_quarantined",
      `${service} did not come back after the kernel's start and is held back: ${detail}`,
      { hint: `${next}; ${now}.` },
    );
  }
  if (state === "quarantined") {
    return new SoloError(
      "service_quarantined",
      `${service} crashed too often and is quarantined.`,
      {
        hint: "See last_crash in its status; then update it with better code, or restart it as it is.",
      },
    );
  }
  return new SoloError("service_not_running", `${service} is ${state}.`, {
    hint: "Restart it, or deploy it again.",
  });
}

/** For what cannot be done while two revisions of a service run. */
export const rolloutUnderWay = (
  { service }: ServiceKey,
  { id, phase, step, strategy }: Rollout,
): SoloError =>
  new SoloError(
    "conflict",
    `A ${strategy.kind} rollout of ${service} is under way: ${id}, step ${step + 1} of ${strategy.steps.length}, ${phase}.`,
    {
      hint: "End the rollout first: promote it or abort it.",
    },
  );

/** For a message that is given up because its time is over. */
export const tooLate = (handler: string, timeoutMs: number): SoloError =>
  new SoloError("deadline_exceeded", `${handler} did not answer within ${timeoutMs} ms.`, {
    hint: "It may still take effect. Give a longer timeout_ms, or look at the service's logs.",
  });

/** For a response that outlasts the revision that gives it. */
export const replaced = (): SoloError =>
  new SoloError(
    "unavailable",
    "The service was updated, and its old revision did not finish this response in time.",
    {
      hint: "Send the request again: the new revision answers.",
      retryAfterMs: 100,
    },
  );

/** For a handler that the service does not have; `handler` is `calls.get`, `casts.reset` or `fetch`. */
export function noHandler(
  service: ServiceId,
  handler: string,
  handlers: ReadonlySet<string>,
): SoloError {
  if (handler === "fetch") {
    return new SoloError("handler_not_found", `${service} does not answer HTTP: it has no fetch.`, {
      hint: "Add fetch(request) to the service.",
    });
  }
  const table = handler.slice(0, handler.indexOf("."));
  const name = handler.slice(table.length + 1);
  const known = [...handlers]
    .filter((each) => each.startsWith(`${table}.`))
    .map((each) => each.slice(table.length + 1));
  return new SoloError(
    "handler_not_found",
    `${service} has no ${table.slice(0, -1)} named ${JSON.stringify(name)}.`,
    {
      hint:
        known.length === 0
          ? `It defines no ${table}.`
          : `It has: ${known.slice(0, MAX_NAMES).join(", ")}.`,
    },
  );
}
