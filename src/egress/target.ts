/**
 * Where a URL leads, before any name is looked up.
 *
 * 1. Text is read by the URL standard alone, so every spelling of an address (decimal, octal,
 *    hexadecimal, shortened, full-width, mapped) is judged as the address that it is.
 * 2. What is looked up, asked of the capability, sent as Host and checked against the
 *    certificate is the one `host`.
 */
import { isIP } from "node:net";
import { SoloError } from "#base/errors.ts";
import { plainHost } from "#base/net-host.ts";
import { MAX_URL_CHARS } from "#egress/limits.ts";

export interface Target {
  /** Without fragment, userinfo or a dot at the host's end. */
  readonly url: URL;
  /** As capabilities name it; IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** The address, without brackets, when the host is one. */
  readonly address: string | undefined;
}

/** https://fetch.spec.whatwg.org/#port-blocking: protocols that a request could be made to speak. */
const BLOCKED_PORTS: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
  103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
  512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
  995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
  6669, 6679, 6697, 10_080,
]);

export function targetOf(text: string, base?: URL): Target {
  if (text.length > MAX_URL_CHARS) {
    throw refused(`A URL of ${text.length} characters is too long; ${MAX_URL_CHARS} are allowed.`);
  }
  const url = URL.parse(text, base);
  if (url === null) throw refused("This is not a URL.");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refused(`fetch reaches http and https, not ${url.protocol.slice(0, 32)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refused("A URL must not hold a user name or password.", "Send an authorization header.");
  }
  const host = plainHost(url.hostname);
  if (host === undefined) throw refused(`${JSON.stringify(url.hostname)} is not a host.`);
  url.hostname = host;
  url.hash = "";
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  if (BLOCKED_PORTS.has(port)) {
    throw refused(
      `Port ${port} belongs to another protocol than HTTP.`,
      "The Fetch standard blocks it; let the server listen on another port.",
    );
  }
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  return { url, host, port, secure, address: isIP(bare) === 0 ? undefined : bare };
}

const refused = (detail: string, hint?: string): SoloError =>
  new SoloError("invalid_argument", detail, hint === undefined ? {} : { hint });
