/** Hosts as URLs write them: lower case, punycode, IPv4 in four decimal parts, IPv6 in brackets. */

export interface HostPort {
  /** Without a trailing dot. */
  readonly host: string;
  /** Undefined: all ports. */
  readonly port: number | undefined;
}

/** A host with or without a port; the host itself has no colon, unless it is in brackets. */
const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/?#@\\\s]+)(?::(\d{1,5}))?$/;
/** Labels of letters, digits, `-` and `_`; or an address in brackets. */
const HOST =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*|\[[0-9a-f:.]+\])$/;
const MAX_HOST_CHARS = 253;

/** The same host without the dot at its end; undefined when no name or address is of this form. */
export function plainHost(hostname: string): string | undefined {
  const host = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  return host.length <= MAX_HOST_CHARS && HOST.test(host) ? host : undefined;
}

/** Reads `example.com`, `127.0.0.1:9000`, `[::1]:80`; every spelling of a host becomes the one
 *  that URLs use. Undefined when the text is nothing of the kind. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, written, digits] = HOST_PORT.exec(text) ?? [];
  if (written === undefined) return undefined;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const host = plainHost(URL.parse(`http://${written}/`)?.hostname ?? "");
  return host === undefined ? undefined : { host, port };
}
