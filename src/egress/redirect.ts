/**
 * Which request a redirect asks for: https://fetch.spec.whatwg.org/#http-redirect-fetch.
 *
 * 1. Towards another origin nothing goes along that says who asks: no authorization, no
 *    cookie, no header into which a secret would be filled.
 */
import { SoloError } from "#base/errors.ts";
import { hasTemplate, type Header } from "#egress/headers.ts";
import { MAX_REDIRECTS } from "#egress/limits.ts";
import { targetOf, type Target } from "#egress/target.ts";

export type RedirectMode = "follow" | "error" | "manual";

export interface Hop {
  readonly target: Target;
  readonly method: string;
  /** The guest's, with its templates. */
  readonly headers: readonly Header[];
  readonly body: Uint8Array | undefined;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const OF_A_BODY: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-language",
  "content-location",
  "content-type",
]);
const OF_THE_SENDER: ReadonlySet<string> = new Set(["authorization", "cookie"]);

/** The next hop, or undefined when the response is the answer. `count` redirects were followed. */
export function nextHop(
  hop: Hop,
  response: { readonly status: number; readonly location: string | undefined },
  { mode, count }: { readonly mode: RedirectMode; readonly count: number },
): Hop | undefined {
  const { status, location } = response;
  if (!REDIRECTS.has(status) || mode === "manual") return undefined;
  if (mode === "error") {
    throw failed(`${hop.target.host} redirects, and the request says redirect: "error".`);
  }
  if (location === undefined) return undefined;
  if (count >= MAX_REDIRECTS) throw failed(`More than ${MAX_REDIRECTS} redirects.`);
  // Node gives bytes as latin1; who writes more than ASCII into a location means UTF-8.
  const target = targetOf(Buffer.from(location, "latin1").toString(), hop.target.url);
  const { method } = hop;
  const becomesGet =
    ((status === 301 || status === 302) && method === "POST") ||
    (status === 303 && method !== "GET" && method !== "HEAD");
  const crosses = target.url.origin !== hop.target.url.origin;
  const headers = hop.headers.filter((header) => {
    if (becomesGet && OF_A_BODY.has(header[0])) return false;
    return !crosses || !(OF_THE_SENDER.has(header[0]) || hasTemplate(header));
  });
  return {
    target,
    method: becomesGet ? "GET" : method,
    headers,
    body: becomesGet ? undefined : hop.body,
  };
}

const failed = (detail: string): SoloError => new SoloError("egress_failed", detail);
