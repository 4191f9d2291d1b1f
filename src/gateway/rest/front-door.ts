/**
 * What a request must show before anything looks at its content (pure).
 *
 * 1. Host is exactly a name this listener goes by: a page that rebinds its own name to
 *    this address is refused.
 * 2. Origin is absent or the listener itself: no other site's page may send requests.
 *    There are no CORS headers and no cookies that would soften this.
 */
import { isIP } from "node:net";
import { SoloError } from "#base/errors.ts";

export type Scheme = "http" | "https";

export interface HostPolicy {
  /** Values of Host that are accepted, lower case. */
  readonly names: ReadonlySet<string>;
  /** Listening on every address: an address literal is accepted when the client reached it. */
  readonly anyAddress: boolean;
  readonly port: number;
  readonly scheme: Scheme;
}

export interface Arrival {
  readonly host: string | undefined;
  /** RFC 9112, section 3.2: of two only one would be looked at here, and perhaps the other elsewhere. */
  /** A header that is there several times and may be there once. */
  readonly repeated: string | undefined;
  readonly origin: string | undefined;
  readonly url: string;
  /** The address of this machine that the client connected to. */
  readonly localAddress: string | undefined;
}

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const WILDCARDS = new Set(["0.0.0.0", "::"]);
const USUAL_PORT = { http: 80, https: 443 } as const;

export function hostPolicy(options: {
  readonly host: string;
  readonly port: number;
  readonly scheme: Scheme;
  readonly allowedHosts: readonly string[];
}): HostPolicy {
  const { host, port, scheme } = options;
  const anyAddress = WILDCARDS.has(host);
  const own = anyAddress ? LOOPBACK : [...LOOPBACK, hostText(host)];
  const names = new Set(options.allowedHosts.map((name) => name.toLowerCase()));
  for (const name of own) {
    names.add(`${name.toLowerCase()}:${port}`);
    if (port === USUAL_PORT[scheme]) names.add(name.toLowerCase());
  }
  return { names, anyAddress, port, scheme };
}

/** Why a request is not let in, if it is not. */
export function refusal(
  arrival: Arrival,
  options: { readonly policy: HostPolicy; readonly anyOrigin: boolean; readonly urlBytes: number },
): SoloError | undefined {
  const { policy, anyOrigin, urlBytes } = options;
  if (arrival.repeated !== undefined) return severalOf(arrival.repeated);
  if (!hostAllowed(policy, arrival)) return wrongHost(arrival.host);
  if (!anyOrigin && !originAllowed(policy, arrival)) return wrongOrigin(arrival.origin);
  if (arrival.url.length > urlBytes) return longUrl(urlBytes);
  return arrival.url.startsWith("/") ? undefined : oddTarget();
}

/** An address as it stands in a URL: IPv6 in brackets. */
export const hostText = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);

export function hostAllowed(
  policy: HostPolicy,
  arrival: Pick<Arrival, "host" | "localAddress">,
): boolean {
  const { host, localAddress } = arrival;
  if (host === undefined) return false;
  if (policy.names.has(host) || policy.names.has(host.toLowerCase())) return true;
  if (!policy.anyAddress || localAddress === undefined) return false;
  // A name can be rebound, an address cannot.
  const address = localAddress.replace(/^::ffff:/, "");
  return host === `${hostText(address)}:${policy.port}`;
}

export const originAllowed = (
  { scheme }: HostPolicy,
  { origin, host }: Pick<Arrival, "origin" | "host">,
): boolean =>
  origin === undefined ||
  origin === `https://${host}` ||
  // Plain HTTP may have something in front that adds TLS; TLS has nothing that takes it away.
  (scheme === "http" && origin === `http://${host}`);

const wrongHost = (host: string | undefined): SoloError =>
  new SoloError("permission_denied", `This address does not serve the host "${host ?? ""}".`, {
    hint: "Use the address Solo printed at its start, or add the name to the allowed hosts.",
  });

const severalOf = (header: string): SoloError =>
  new SoloError("invalid_argument", `A request has one ${header} header, not several.`, {
    hint: "Send it once; which of several counts is not guessed.",
  });

const wrongOrigin = (origin: string | undefined): SoloError =>
  new SoloError(
    "permission_denied",
    `Requests from pages of ${origin ?? "another site"} are refused.`,
    {
      hint: "Call Solo from a program, or from a page that Solo itself serves.",
    },
  );

const longUrl = (bytes: number): SoloError =>
  new SoloError("payload_too_large", `The URL is longer than ${bytes} bytes.`, {
    hint: "Send long values in the body.",
  });

const oddTarget = (): SoloError =>
  new SoloError("invalid_argument", "The request target must be a path.", {
    hint: "Solo is no proxy: send `GET /path`, not a whole URL.",
  });
