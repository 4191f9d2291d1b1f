/**
 * How a refusal is written to a response: as a problem document.
 *
 * 1. A response that has begun is never turned into a problem: its socket is destroyed, so
 *    that the client sees it as broken off.
 */
import type { ServerResponse } from "node:http";
import { toProblem } from "#api/problem.ts";
import { toSoloError, type SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";

const PROBLEM_TYPE = "application/problem+json";

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
