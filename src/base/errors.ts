/**
 * The one closed table of errors. Every refusal that leaves Solo, through any
 * gateway, carries one of these codes; nothing else does.
 *
 * 1. A code projects to exactly one HTTP status, one gRPC status and one CLI exit code.
 * 2. Every code has a page in docs/errors.md (a test keeps the two equal).
 * 3. `detail` says what happened, `hint` says what to do next; neither holds a secret
 *    or a path of the host that the reader was not told of before.
 */

/** gRPC status codes, as numbered by https://grpc.io/docs/guides/status-codes/. */
export const GRPC = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** CLI exit codes, as CONTRACT names them. */
export const EXIT = {
  OK: 0,
  FAILED: 1,
  USAGE: 2,
  CANNOT_START: 3,
  NOT_FOUND: 4,
  DENIED: 5,
  UNREACHABLE: 6,
  OVERLOADED: 7,
} as const;

interface ErrorRow {
  readonly http: number;
  readonly grpc: number;
  readonly exit: number;
  readonly title: string;
}

const row = (http: number, grpc: number, exit: number, title: string): ErrorRow => ({
  http,
  grpc,
  exit,
  title,
});

export const ERRORS = {
  // What the caller sent
  invalid_argument: row(400, GRPC.INVALID_ARGUMENT, EXIT.FAILED, "Invalid argument"),
  payload_too_large: row(413, GRPC.RESOURCE_EXHAUSTED, EXIT.FAILED, "Payload too large"),
  unsupported_media_type: row(415, GRPC.INVALID_ARGUMENT, EXIT.FAILED, "Unsupported media type"),
  method_not_allowed: row(405, GRPC.UNIMPLEMENTED, EXIT.FAILED, "Method not allowed"),
  unimplemented: row(501, GRPC.UNIMPLEMENTED, EXIT.FAILED, "Not implemented"),
  // Who the caller is
  unauthenticated: row(401, GRPC.UNAUTHENTICATED, EXIT.DENIED, "Not authenticated"),
  permission_denied: row(403, GRPC.PERMISSION_DENIED, EXIT.DENIED, "Permission denied"),
  // What the caller named
  not_found: row(404, GRPC.NOT_FOUND, EXIT.NOT_FOUND, "Not found"),
  service_not_found: row(404, GRPC.NOT_FOUND, EXIT.NOT_FOUND, "Service not found"),
  handler_not_found: row(404, GRPC.NOT_FOUND, EXIT.NOT_FOUND, "Handler not found"),
  already_exists: row(409, GRPC.ALREADY_EXISTS, EXIT.FAILED, "Already exists"),
  conflict: row(409, GRPC.ABORTED, EXIT.FAILED, "Conflict"),
  // What the caller's code did
  compile_failed: row(422, GRPC.INVALID_ARGUMENT, EXIT.FAILED, "Source does not compile"),
  analysis_refused: row(422, GRPC.INVALID_ARGUMENT, EXIT.FAILED, "Refused by static analysis"),
  startup_failed: row(422, GRPC.FAILED_PRECONDITION, EXIT.FAILED, "Service did not start"),
  startup_timeout: row(422, GRPC.FAILED_PRECONDITION, EXIT.FAILED, "Service did not start in time"),
  service_error: row(
    422,
    GRPC.FAILED_PRECONDITION,
    EXIT.FAILED,
    "The service answered with an error",
  ),
  handler_failed: row(500, GRPC.UNKNOWN, EXIT.FAILED, "The service's fetch threw"),
  service_crashed: row(502, GRPC.UNKNOWN, EXIT.FAILED, "The service crashed"),
  egress_failed: row(502, GRPC.UNAVAILABLE, EXIT.FAILED, "The outbound request failed"),
  outcome_unknown: row(502, GRPC.UNKNOWN, EXIT.FAILED, "Outcome unknown"),
  deadline_exceeded: row(504, GRPC.DEADLINE_EXCEEDED, EXIT.FAILED, "Deadline exceeded"),
  cancelled: row(499, GRPC.CANCELLED, EXIT.FAILED, "Cancelled by the caller"),
  // What state things are in
  service_not_running: row(409, GRPC.FAILED_PRECONDITION, EXIT.FAILED, "Service is not running"),
  service_quarantined: row(503, GRPC.UNAVAILABLE, EXIT.FAILED, "Service is quarantined"),
  // How much there is
  mailbox_full: row(429, GRPC.RESOURCE_EXHAUSTED, EXIT.OVERLOADED, "Mailbox full"),
  limit_exceeded: row(429, GRPC.RESOURCE_EXHAUSTED, EXIT.OVERLOADED, "Limit exceeded"),
  overloaded: row(503, GRPC.UNAVAILABLE, EXIT.OVERLOADED, "Overloaded"),
  // How the kernel is
  shutting_down: row(503, GRPC.UNAVAILABLE, EXIT.UNREACHABLE, "Kernel is shutting down"),
  unavailable: row(503, GRPC.UNAVAILABLE, EXIT.UNREACHABLE, "Temporarily unavailable"),
  kernel_unreachable: row(503, GRPC.UNAVAILABLE, EXIT.UNREACHABLE, "No kernel reachable"),
  storage_full: row(507, GRPC.RESOURCE_EXHAUSTED, EXIT.FAILED, "Disk full"),
  storage_read_only: row(503, GRPC.UNAVAILABLE, EXIT.CANNOT_START, "Store is read-only"),
  storage_corrupt: row(500, GRPC.DATA_LOSS, EXIT.CANNOT_START, "Store is corrupt"),
  storage_locked: row(
    503,
    GRPC.UNAVAILABLE,
    EXIT.CANNOT_START,
    "Store is locked by another kernel",
  ),
  vault_sealed: row(503, GRPC.UNAVAILABLE, EXIT.CANNOT_START, "The vault does not open"),
  cannot_listen: row(503, GRPC.UNAVAILABLE, EXIT.CANNOT_START, "Cannot listen"),
  config_invalid: row(400, GRPC.INVALID_ARGUMENT, EXIT.USAGE, "Invalid configuration"),
  internal: row(500, GRPC.INTERNAL, EXIT.FAILED, "Internal error"),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** What to do next where an error does not say it better itself. */
const NEXT: Readonly<Record<ErrorCode, string>> = {
  invalid_argument: "See /openapi.json for the fields and their types.",
  payload_too_large:
    "Send less at once; a service takes large uploads through its fetch, under /s/.",
  unsupported_media_type: "Send JSON with `content-type: application/json`.",
  method_not_allowed: "Use one of the methods in the Allow header.",
  unimplemented: "See /openapi.json or proto/solo.proto for what there is.",
  unauthenticated:
    "Send `Authorization: Bearer <token>`; the machine's owner gets it with `solo token`.",
  permission_denied:
    "Ask whoever `denial` names, or the machine's owner, for a capability that includes it.",
  not_found: "List what there is, and check the name and the tenant.",
  service_not_found: "List the services, and check the tenant.",
  handler_not_found: "`handlers` in the service's status names those it has.",
  already_exists: "Update what is there, remove it first, or choose another name.",
  conflict: "Wait for the other change to end, then try again.",
  compile_failed: "Correct the source at the places in `diagnostics`.",
  analysis_refused:
    "Correct the places in `diagnostics`, or allow one with `// solo-allow CODE: reason`.",
  startup_failed:
    "Correct what threw while the source was loaded or in init; `stack` has its place.",
  startup_timeout: "Look for loops and awaits that never end at the top level and in init.",
  service_error: "`service_code` and `detail` are the service's own; what to do depends on them.",
  handler_failed: "The service's log has the exception with its place in the source.",
  service_crashed: "See last_crash in the service's status, then decide whether to send it again.",
  egress_failed: "Check the host's name and that it answers; `detail` says what failed.",
  outcome_unknown: "Check whether it took effect, then decide whether to send it again.",
  deadline_exceeded: "It may still take effect. Give it longer, or make the handler faster.",
  cancelled: "If that was not meant, look for the client's own timeout.",
  service_not_running: "Restart it; its status says how it is.",
  service_quarantined: "See last_crash in its status; update it, or restart it.",
  mailbox_full: "Send more slowly; try again after `retry_after_ms`.",
  limit_exceeded: "Free what is no longer needed, or have the owner raise the limit.",
  overloaded: "Try again after `retry_after_ms`, with growing pauses.",
  shutting_down: "Try again once the kernel is back.",
  unavailable: "Try again after a moment; if it lasts, the kernel's log says why.",
  kernel_unreachable: "Start a kernel with `solo start`, or say where it is with SOLO_URL.",
  storage_full: "Free space in the file system of the data directory.",
  storage_read_only: "Make the data directory writable for the kernel's user.",
  storage_corrupt: "Keep a copy of the data directory, then restore it from a backup.",
  storage_locked: "Stop the other kernel, or name another directory with --data-dir.",
  vault_sealed: "Give the master key that the vault was made with or last rotated to.",
  cannot_listen: "Choose other ports; 0 picks a free one.",
  config_invalid: "docs/configuration.md lists every setting.",
  internal: "See the kernel's log for the cause; report it if it repeats.",
};

/** One bad field of a request: `field` is a dotted path, such as `limits.memory_mb`. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** One finding in the agent's source; lines and columns count from 1. */
export interface Diagnostic {
  readonly code: string;
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Just after the last character. */
  readonly end_line?: number;
  readonly end_column?: number;
  readonly excerpt: string;
  readonly explanation: string;
  readonly fix?: string;
}

/** Why authority was missing: the content of a denial in every protocol, as JSON names it. */
export interface DenialBody {
  readonly permission: string;
  readonly resource: string;
  /** `unknown`, `holder`, `revoked`, `expired`, `tenant`, `narrowed`, `uses` or `rate`. */
  readonly why: string;
  /** The link of the caller's chain that took it away; level 0 is the owner's. */
  readonly link: { readonly id: string; readonly level: number; readonly label: string } | null;
  /** What else the caller holds that comes closest, and what that lacks. */
  readonly nearest: {
    readonly id: string;
    readonly permissions: readonly string[];
    readonly resources: readonly string[];
    readonly lacks: string;
  } | null;
  /** Who can grant it, the closest first. */
  readonly grantable_by: readonly string[];
  readonly retry_after_ms?: number;
  /** Of an attenuated service: which rule refused the call. */
  readonly call?: object;
}

export interface SoloErrorOptions {
  /** What to do next, in one sentence. */
  readonly hint?: string;
  readonly fields?: readonly FieldError[];
  readonly diagnostics?: readonly Diagnostic[];
  /** Milliseconds after which trying again makes sense. */
  readonly retryAfterMs?: number;
  /** The stack in the agent's own source, when the agent's code threw. */
  readonly stack?: string;
  /** The `code` that a service put on an error of its own. */
  readonly serviceCode?: string;
  /** What authority was missing, and how to get it. */
  readonly denial?: DenialBody;
  readonly cause?: unknown;
}

/** The wire form of an error: what crosses gateways and process boundaries. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint?: string;
  readonly fields?: readonly FieldError[];
  readonly diagnostics?: readonly Diagnostic[];
  readonly retry_after_ms?: number;
  readonly stack?: string;
  readonly service_code?: string;
  readonly denial?: DenialBody;
}

export class SoloError extends Error {
  override readonly name = "SoloError";
  readonly code: ErrorCode;
  readonly options: SoloErrorOptions;

  constructor(code: ErrorCode, detail: string, options: SoloErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.options = options;
  }

  toBody(): ErrorBody {
    const { hint, fields, diagnostics, retryAfterMs, stack, serviceCode, denial } = this.options;
    return {
      code: this.code,
      detail: this.message,
      hint: hint ?? NEXT[this.code],
      ...(fields !== undefined && { fields }),
      ...(diagnostics !== undefined && { diagnostics }),
      ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
      ...(stack !== undefined && { stack }),
      ...(serviceCode !== undefined && { service_code: serviceCode }),
      ...(denial !== undefined && { denial }),
    };
  }

  static fromBody(body: ErrorBody): SoloError {
    return new SoloError(isErrorCode(body.code) ? body.code : "internal", body.detail, {
      ...(body.hint !== undefined && { hint: body.hint }),
      ...(body.fields !== undefined && { fields: body.fields }),
      ...(body.diagnostics !== undefined && { diagnostics: body.diagnostics }),
      ...(body.retry_after_ms !== undefined && { retryAfterMs: body.retry_after_ms }),
      ...(body.stack !== undefined && { stack: body.stack }),
      ...(body.service_code !== undefined && { serviceCode: body.service_code }),
      ...(body.denial !== undefined && { denial: body.denial }),
    });
  }
}

export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === "string" && Object.hasOwn(ERRORS, code);

/**
 * Anything thrown, as a SoloError. What Solo did not foresee becomes `internal`
 * without its text: a host error may hold paths or values that are not the reader's.
 */
export function toSoloError(thrown: unknown): SoloError {
  if (thrown instanceof SoloError) return thrown;
  return new SoloError("internal", "Solo failed in a way it did not foresee.", {
    hint: "See the kernel's log for the cause; report it if it repeats.",
    cause: thrown,
  });
}
