/**
 * What went wrong, as a SoloError.
 *
 * 1. An answer of the kernel keeps its code, whatever the HTTP status says.
 * 2. A request that may have reached the kernel and was to change something is
 *    `outcome_unknown`, never "unreachable": the caller must not repeat it blindly.
 */
import { SoloError, isErrorCode } from "#base/errors.ts";
import type { DenialBody, ErrorBody, ErrorCode } from "#base/errors.ts";

const NOT_SOLO_HINT = "Is it a Solo kernel that listens there? See --url and SOLO_URL.";

/** For answers without a code of ours: proxies, other servers. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  413: "payload_too_large",
  429: "overloaded",
  502: "kernel_unreachable",
  503: "unavailable",
  504: "deadline_exceeded",
};

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

const stringOr = <T>(value: unknown, other: T): string | T =>
  typeof value === "string" ? value : other;
const listOr = <T>(...values: unknown[]): readonly T[] | undefined => values.find(Array.isArray);

/** As far as it is shown: a kernel of another version may send other fields. */
function isDenial(value: unknown): value is DenialBody {
  if (typeof value !== "object" || value === null) return false;
  const { permission, resource, why, grantable_by } = value as Partial<DenialBody>;
  return (
    [permission, resource, why].every((each) => typeof each === "string") &&
    Array.isArray(grantable_by)
  );
}

/** The error in a problem document, or undefined when the text is not one. */
export function problemError(text: string): SoloError | undefined {
  const problem = parseObject(text);
  if (problem === undefined || !isErrorCode(problem["code"])) return undefined;
  const hint = stringOr(problem["hint"], undefined);
  const fields = listOr<NonNullable<ErrorBody["fields"]>[number]>(
    problem["fields"],
    problem["errors"],
  );
  const diagnostics = listOr<NonNullable<ErrorBody["diagnostics"]>[number]>(problem["diagnostics"]);
  const retryAfterMs = problem["retry_after_ms"];
  const stack = stringOr(problem["stack"], undefined);
  const serviceCode = stringOr(problem["service_code"], undefined);
  return SoloError.fromBody({
    code: problem["code"],
    detail: stringOr(problem["detail"], stringOr(problem["title"], problem["code"])),
    ...(hint !== undefined && { hint }),
    ...(fields !== undefined && { fields }),
    ...(diagnostics !== undefined && { diagnostics }),
    ...(typeof retryAfterMs === "number" && { retry_after_ms: retryAfterMs }),
    ...(stack !== undefined && { stack }),
    ...(serviceCode !== undefined && { service_code: serviceCode }),
    ...(isDenial(problem["denial"]) && { denial: problem["denial"] }),
  });
}

export function answerError(status: number, text: string): SoloError {
  const code = BY_STATUS[status] ?? (status >= 500 ? "internal" : "kernel_unreachable");
  return (
    problemError(text) ??
    new SoloError(code, `The server answered ${status} without saying why.`, {
      hint: NOT_SOLO_HINT,
    })
  );
}

export const notSolo = (url: string): SoloError =>
  new SoloError("kernel_unreachable", `What answers at ${url} does not speak Solo's protocol.`, {
    hint: NOT_SOLO_HINT,
  });

/** fetch refuses the ports that browsers refuse, and says so only in words. */
const BAD_PORT = "bad port";

/** Why the server's certificate is not accepted; nothing was sent. */
const UNTRUSTED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "no accepted authority vouches for it",
  SELF_SIGNED_CERT_IN_CHAIN: "no accepted authority vouches for it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "no accepted authority vouches for it",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "no accepted authority vouches for it",
  CERT_SIGNATURE_FAILURE: "another authority made it",
  CERT_HAS_EXPIRED: "it has expired",
  CERT_NOT_YET_VALID: "it is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another host",
};

/** Failures before the request can have left this machine. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EACCES",
  "UND_ERR_CONNECT_TIMEOUT",
  BAD_PORT,
  ...Object.keys(UNTRUSTED),
]);

function systemCode(thrown: unknown): string | undefined {
  for (let at = thrown; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
    if (at.message === BAD_PORT) return BAD_PORT;
  }
  return undefined;
}

const START = "Start one with `solo start`, or say where it is with SOLO_URL.";
/** A server that refuses a certificate only closes the connection. */
const WANTS_CERTIFICATE =
  "It closed the connection: if it requires client certificates, name a valid one with --cert and --key, or SOLO_CERT and SOLO_KEY.";

export interface FailedRequest {
  readonly url: string;
  /** Whether the request was to change something. */
  readonly changes: boolean;
}

/** What fetch threw, as a SoloError; one of ours (a deadline, a stop) is kept. */
export function networkError(thrown: unknown, request: FailedRequest): SoloError {
  if (thrown instanceof SoloError) return thrown;
  const code = systemCode(thrown);
  const why = code === undefined ? "" : ` (${code})`;
  const untrusted = UNTRUSTED[code ?? ""];
  if (untrusted !== undefined) {
    return new SoloError(
      "kernel_unreachable",
      `The certificate of ${request.url} is not accepted: ${untrusted}.`,
      { hint: "Name the authority's file with --ca or SOLO_CA.", cause: thrown },
    );
  }
  if (request.changes && (code === undefined || !NEVER_SENT.has(code))) {
    return new SoloError(
      "outcome_unknown",
      `The connection to ${request.url} broke before the answer${why}.`,
      { hint: "Look before you repeat it: it may have been done.", cause: thrown },
    );
  }
  return new SoloError("kernel_unreachable", `No kernel answers at ${request.url}${why}.`, {
    hint: request.url.startsWith("https:") && code === "UND_ERR_SOCKET" ? WANTS_CERTIFICATE : START,
    cause: thrown,
  });
}
