/**
 * Headers on their way through the ingress (pure).
 *
 * 1. What concerns one connection only (hop by hop) never crosses, in either direction.
 * 2. Solo's own token and tenant never reach the service.
 * 3. A service cannot speak for the whole origin it shares with Solo.
 */
import type { Credentials } from "#api/kernel-port.ts";
import type { Scheme } from "#gateway/rest/front-door.ts";
import { bearerOf, TENANT_HEADER, TOKEN_HEADER } from "#gateway/rest/credentials.ts";

export type Headers = readonly (readonly [string, string])[];

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
]);

/** Solo's own, or written anew. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  TOKEN_HEADER,
  TENANT_HEADER,
  "forwarded",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-prefix",
]);

/** These would act on pages and storage of other services and of Solo's own pages. */
const ORIGIN_WIDE: ReadonlySet<string> = new Set(["service-worker-allowed", "clear-site-data"]);

const FORWARDED_FOR = "x-forwarded-for";

export interface Forwarding {
  /** As Node gives them: name, value, name, value …. */
  readonly rawHeaders: readonly string[];
  readonly connection: string | undefined;
  readonly clientAddress: string;
  readonly host: string;
  readonly scheme: Scheme;
  /** `/s/{tenant}/{service}` */
  readonly prefix: string;
  readonly isSoloToken: (token: string) => boolean;
}

export interface Forwarded {
  readonly headers: Headers;
  readonly credentials: Credentials;
}

export function forwarded(request: Forwarding): Forwarded {
  const { rawHeaders, host, prefix, isSoloToken } = request;
  const dropped = namedIn(request.connection);
  const headers: [string, string][] = [];
  const via: string[] = [];
  let token: string | undefined;
  let authorization: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    if (name === TOKEN_HEADER) token ??= value;
    else if (name === FORWARDED_FOR) via.push(value);
    else if (name === "authorization") authorization ??= value;
    else if (!HOP_BY_HOP.has(name) && !NOT_FORWARDED.has(name) && !dropped.has(name))
      headers.push([name, value]);
  }
  const bearer = bearerOf(authorization);
  if (bearer !== undefined && isSoloToken(bearer)) token ??= bearer;
  else if (authorization !== undefined) headers.push(["authorization", authorization]);
  headers.push(
    [FORWARDED_FOR, [...via, request.clientAddress].join(", ")],
    ["x-forwarded-host", host],
    ["x-forwarded-proto", request.scheme],
    ["x-forwarded-prefix", prefix],
  );
  return { headers, credentials: token === undefined ? {} : { token } };
}

export interface AnswerHead {
  /** As writeHead takes them: name, value, name, value …. */
  readonly headers: string[];
  readonly contentLength: number | undefined;
}

const LENGTH = /^\d{1,15}$/;

export function answerHead(headers: Headers): AnswerHead {
  const connection = headers.find(([name]) => name.toLowerCase() === "connection")?.[1];
  const dropped = namedIn(connection);
  const lengths = new Set<string>();
  const kept: string[] = [];
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    if (name === "content-length") lengths.add(value);
    else if (!HOP_BY_HOP.has(name) && !ORIGIN_WIDE.has(name) && !dropped.has(name))
      kept.push(name, value);
  }
  const [length, ...others] = lengths;
  // A length that is not one number is no length: the body goes out in chunks.
  const sound = length !== undefined && others.length === 0 && LENGTH.test(length);
  return { headers: kept, contentLength: sound ? Number(length) : undefined };
}

const NONE: ReadonlySet<string> = new Set();

function namedIn(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === "keep-alive" || connection === "close")
    return NONE;
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}
