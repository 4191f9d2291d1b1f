/**
 * Errors as RFC 9457 problem documents, and how they are written to a response.
 *
 * 1. The status is the code's status in the one table of errors; the body repeats the code.
 * 2. A response that has begun is never turned into a problem: its socket is destroyed, so
 *    that the client sees it as broken off.
 */
import type { ServerResponse } from "node:http";
import { ERRORS, toSoloError, type SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";

const PROBLEM_TYPE = "application/problem+json";
/** Where the codes are explained; `type` points into this page. */
export const ERRORS_PAGE = "/docs/errors";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  readonly [extension: string]: unknown;
}

export function toProblem(error: SoloError): Problem {
  const { http, title } = ERRORS[error.code];
  const { fields, ...body } = error.toBody();
  return {
    type: `${ERRORS_PAGE}#${error.code}`,
    title,
    status: http,
    ...body,
    ...(fields !== undefined && { errors: fields }),
  };
}

export function problemHeaders(error: SoloError): Record<string, string> {
  const { retryAfterMs } = error.options;
  return {
    "content-type": PROBLEM_TYPE,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(error.code === "unauthenticated" && { "www-authenticate": 'Bearer realm="solo"' }),
    ...(retryAfterMs !== undefined && { "retry-after": String(Math.ceil(retryAfterMs / 1000)) }),
  };
}

export function writeProblem(
  response: ServerResponse,
  error: SoloError,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = toProblem(error);
  const text = JSON.stringify(problem);
  response.writeHead(problem.status, {
    ...problemHeaders(error),
    "content-length": String(Buffer.byteLength(text)),
    ...headers,
  });
  response.end(text);
}

/** Anything thrown while serving, as a SoloError; what nobody foresaw goes to the log. */
export function reported(thrown: unknown, log: Logger): SoloError {
  const error = toSoloError(thrown);
  if (error.code === "internal") {
    const cause = error.cause instanceof Error ? error.cause : error;
    log.error("a request failed unforeseen", { error: cause.stack ?? cause.message });
  }
  return error;
}
