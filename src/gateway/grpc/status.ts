/**
 * SoloErrors as gRPC statuses: the trailers of a call.
 *
 * 1. The status code is the error table's. The same error is said three times: as text, as
 *    google.rpc details for any gRPC client, and whole as `solo-error-bin` (ErrorBody in
 *    JSON) beside `solo-code` for clients that know Solo.
 * 2. Trailing metadata stays below what clients accept: a long error is cut, never lost.
 */
import type { OutgoingHttpHeaders } from "node:http2";
import { type DenialBody, ERRORS, type ErrorBody, type SoloError } from "#base/errors.ts";
import {
  MAX_ERROR_DETAILS_BYTES,
  MAX_ERROR_JSON_BYTES,
  MAX_ERROR_MESSAGE_LENGTH,
} from "#gateway/grpc/limits.ts";
import {
  badRequest,
  errorInfo,
  retryInfo,
  rpcStatus,
  standardCodec,
} from "#gateway/grpc/protocols.ts";

const ERROR_DOMAIN = "solo";

const codecs = {
  status: standardCodec(rpcStatus),
  ErrorInfo: standardCodec(errorInfo),
  BadRequest: standardCodec(badRequest),
  RetryInfo: standardCodec(retryInfo),
};

const half = <T>(list: readonly T[]): readonly T[] => list.slice(0, Math.ceil(list.length / 2));
const halfText = (text: string): string => text.slice(0, text.length >> 1).toWellFormed();

/** The body with what is needed least cut: long lists and stacks first, the text last. */
function shorter(body: ErrorBody): ErrorBody {
  const { diagnostics, stack, fields, service_code: _, ...rest } = body;
  const { denial } = body;
  if (denial !== undefined && denial.nearest !== null)
    return { ...body, denial: { ...denial, nearest: null } };
  if (denial !== undefined && denial.grantable_by.length > 1)
    return { ...body, denial: { ...denial, grantable_by: half(denial.grantable_by) } };
  if (diagnostics !== undefined && diagnostics.length > 1)
    return { ...body, diagnostics: half(diagnostics) };
  if (stack !== undefined && stack.length > 400) return { ...body, stack: halfText(stack) };
  if (fields !== undefined && fields.length > 1) return { ...body, fields: half(fields) };
  if (diagnostics !== undefined || stack !== undefined)
    return { ...rest, ...(fields !== undefined && { fields }) };
  if (fields !== undefined) return rest;
  if (denial !== undefined) {
    const { denial: __, ...others } = rest;
    return others;
  }
  const { hint, ...plain } = rest;
  if (hint !== undefined && hint.length > plain.detail.length) return plain;
  return { ...rest, detail: halfText(rest.detail) };
}

/** `body` cut until it takes at most `maxBytes` as JSON. */
function fitBody(body: ErrorBody, maxBytes: number): { body: ErrorBody; json: Buffer } {
  let fitted = body;
  for (;;) {
    const json = Buffer.from(JSON.stringify(fitted));
    if (json.length <= maxBytes) return { body: fitted, json };
    fitted = shorter(fitted);
  }
}

/** The text as grpc-message, which is percent-encoded. */
function messageOf(text: string): string {
  let fitted = text.toWellFormed();
  while (encodeURI(fitted).length > MAX_ERROR_MESSAGE_LENGTH) fitted = halfText(fitted);
  return encodeURI(fitted);
}

/** A denial for clients that read google.rpc.ErrorInfo. */
const denialTexts = (denial: DenialBody): Record<string, string> => ({
  permission: denial.permission,
  resource: denial.resource,
  why: denial.why,
  ...(denial.link !== null && { link: denial.link.id }),
  ...(denial.nearest !== null && { nearest: denial.nearest.id, lacks: denial.nearest.lacks }),
  grantable_by: denial.grantable_by.join(" "),
});

/** google.rpc.Status with ErrorInfo and, where the error has them, BadRequest and RetryInfo. */
function statusDetails(code: number, body: ErrorBody): Buffer {
  const any = (type: "ErrorInfo" | "BadRequest" | "RetryInfo", value: object) => ({
    type_url: `type.googleapis.com/google.rpc.${type}`,
    value: codecs[type].encode(value),
  });
  const { detail, hint, fields, retry_after_ms: retry, denial } = body;
  const metadata = { ...(hint !== undefined && { hint }), ...(denial && denialTexts(denial)) };
  const details = [any("ErrorInfo", { reason: body.code, domain: ERROR_DOMAIN, metadata })];
  if (fields !== undefined) {
    const field_violations = fields.map(({ field, message }) => ({ field, description: message }));
    details.push(any("BadRequest", { field_violations }));
  }
  if (retry !== undefined) {
    const seconds = Math.floor(retry / 1000);
    const nanos = Math.round((retry - seconds * 1000) * 1e6);
    details.push(any("RetryInfo", { retry_delay: { seconds, nanos } }));
  }
  return Buffer.from(codecs.status.encode({ code, message: detail, details }));
}

/** Binary metadata is base64 without padding. */
const binary = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");

export const OK_TRAILERS: OutgoingHttpHeaders = Object.freeze({ "grpc-status": "0" });

export function statusOf(error: SoloError): OutgoingHttpHeaders {
  const code = ERRORS[error.code].grpc;
  const whole = error.toBody();
  const { diagnostics: _, stack: __, ...brief } = whole;
  return {
    "grpc-status": String(code),
    "grpc-message": messageOf(error.message),
    "solo-code": error.code,
    "solo-error-bin": binary(fitBody(whole, MAX_ERROR_JSON_BYTES).json),
    "grpc-status-details-bin": binary(
      statusDetails(code, fitBody(brief, MAX_ERROR_DETAILS_BYTES).body),
    ),
  };
}
