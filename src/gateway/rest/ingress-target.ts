/** Which service an ingress URL names, and the path that the service sees (pure). */
import { SoloError } from "#base/errors.ts";

export const INGRESS_PREFIX = "/s/";

export interface IngressTarget {
  readonly tenant: string;
  readonly service: string;
  /** `/s/{tenant}/{service}` as the client wrote it. */
  readonly prefix: string;
  /** Path and query below the prefix, undecoded; at least `/`. */
  readonly path: string;
}

const TARGET = /^(\/s\/([^/?#]+)\/([^/?#]+))(\/[^?#]*)?(\?[^#]*)?$/;

export function ingressTarget(url: string): IngressTarget {
  const match = TARGET.exec(url);
  if (match === null) {
    throw new SoloError("not_found", "This path names no service.", {
      hint: "A service is reached at /s/{tenant}/{service}/….",
    });
  }
  const [, prefix = "", tenant = "", service = "", path = "/", query = ""] = match;
  return { tenant: decoded(tenant), service: decoded(service), prefix, path: `${path}${query}` };
}

function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new SoloError("invalid_argument", "The path holds a malformed percent-encoding.");
  }
}
