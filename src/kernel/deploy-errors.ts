/** Why a deploy was refused, in words about the agent's own source. */
import { SoloError, type Diagnostic } from "#base/errors.ts";
import type { SecretBinding } from "#deploy/secret-bindings.ts";
import { InstanceCrash } from "#kernel/services/outcomes.ts";
import { describeCrash } from "#kernel/services/crash-report.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { SecretListing } from "#vault/vault.ts";

/** Undefined when no finding is an error. */
export function compileError(diagnostics: readonly Diagnostic[]): SoloError | undefined {
  const first = diagnostics.find(({ severity }) => severity === "error");
  if (first === undefined) return undefined;
  const { code, file, line, column, message, fix, explanation } = first;
  // What the grammar wanted says more than that it does not parse.
  const why = code === "syntax" ? undefined : explanation;
  return new SoloError("compile_failed", `${file}:${line}:${column}: ${message}`, {
    diagnostics,
    hint: fix ?? why ?? "Correct the source at the places in `diagnostics` and deploy again.",
  });
}

/** What the agent hears when a new revision did not take the old one's state over. */
export async function adoptionError(options: {
  error: unknown;
  revision: Revision;
  powers: ServicePowers;
}): Promise<unknown> {
  const { error, revision, powers } = options;
  if (!(error instanceof InstanceCrash)) return error;
  const { reason, name, message } = error.down;
  const { stack } = await describeCrash({ crash: error, revision, powers });
  const { codeChangeTimeoutMs } = revision.spec.restartLimits;
  const more = stack !== "" && { stack };
  if (reason === "startup_timeout" || reason === "timeout") {
    return new SoloError(
      "startup_timeout",
      `The new revision did not take the state over within ${codeChangeTimeoutMs} ms.`,
      {
        hint: "codeChange, checkState or selfTest does not end; look for loops, or raise restart_limits.code_change_timeout_ms.",
        ...more,
      },
    );
  }
  return new SoloError(
    "startup_failed",
    `The new revision did not take the state over: ${name === "" ? "" : `${name}: `}${message}`,
    {
      hint: "The old revision serves on. Correct codeChange (or checkState, or selfTest) and update again.",
      ...more,
    },
  );
}

/** What the agent hears when its service did not start: its own exception, in its own source. */
export async function startError(options: {
  error: unknown;
  revision: Revision;
  powers: ServicePowers;
}): Promise<unknown> {
  const { error, revision, powers } = options;
  if (!(error instanceof InstanceCrash)) return error;
  const { reason, name, message } = error.down;
  const { restartLimits, limits } = revision.spec;
  const { stack } = await describeCrash({ crash: error, revision, powers });
  if (reason === "startup_timeout" || reason === "timeout") {
    return new SoloError(
      "startup_timeout",
      `The service was not ready within ${restartLimits.startupTimeoutMs} ms.`,
      {
        hint: "Its top level or init does not end: look for loops and for awaits that never settle, or raise restart_limits.startup_timeout_ms.",
        ...(stack !== "" && { stack }),
      },
    );
  }
  const what =
    reason === "memory"
      ? `it passed its memory limit (${limits.memoryMb} MiB)`
      : `${name === "" ? "" : `${name}: `}${message}`;
  return new SoloError("startup_failed", `The service did not start: ${what}`, {
    hint: startHint(reason, message),
    ...(stack !== "" && { stack }),
  });
}

/** Every binding that cannot be kept, by its place in the request. */
export function missingSecrets(
  bindings: readonly SecretBinding[],
  find: (name: string) => SecretListing | undefined,
): SoloError | undefined {
  const fields = bindings.flatMap(({ name }, at) => {
    const latest = find(name)?.versions.at(-1);
    const refuse = (message: string) => [{ field: `secrets.${at}.name`, message }];
    if (latest === undefined) return refuse(`there is no secret ${name} in this tenant`);
    if (latest.hasCallerKey)
      return refuse(`${name} opens only with its caller's key, which a service does not have`);
    return [];
  });
  if (fields.length === 0) return undefined;
  const text = fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new SoloError("invalid_argument", `The deploy cannot be accepted: ${text}.`, {
    fields,
    hint: "Store the secret first (POST /secrets, or solo secrets set), or correct its name.",
  });
}

const NODE_GLOBAL = /^(require|process|Buffer|global|__dirname|__filename) is not defined$/;

function startHint(reason: string, message: string): string {
  const global = NODE_GLOBAL.exec(message)?.[1];
  if (global !== undefined)
    return `Services have web-standard globals (docs/globals.md) and no ${global}; settings come as solo.env, data is kept in solo.state and solo.kv.`;
  if (reason === "memory") return "Raise limits.memory_mb, or load less at once.";
  return "Correct what threw at load or in init, and deploy again.";
}
