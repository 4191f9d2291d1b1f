/**
 * Errors as RFC 9457 problem documents: what REST and MCP show of a refusal (pure).
 *
 * 1. The status is the code's status in the one table of errors; the body repeats the code.
 */
import { ERRORS, type SoloError } from "#base/errors.ts";

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
