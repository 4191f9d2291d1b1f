/**
 * The grammar of resources, and which pattern holds which.
 *
 *     resource  kernel · events · registry · kv · metrics · capabilities
 *               service:<id> · secret:<name> · topic:<name> · net:<host>[:<port>]
 *     pattern   a resource · * · service:<start>* · secret:<start>* · topic:<start>*
 *               net:* · net:*.<domain>[:<port>]
 *
 * 1. `contains(a, b)` only if every resource that `b` matches is matched by `a`.
 * 2. A star stands at the end of a name or in place of the leading labels of a host, nowhere
 *    else, so that matching never backtracks.
 * 3. A host without a port is the host with all its ports; `*.example.com` is not `example.com`.
 */
import { NAME_PATTERN } from "#base/ids.ts";
import { MAX_RESOURCE_CHARS } from "#capability/limits.ts";

export interface Pattern {
  readonly text: string;
  readonly form: "all" | "exact" | "prefix" | "host" | "subdomains";
  /** `exact`, `prefix`: what the resource is or starts with. `host`: the host. `subdomains`: `.example.com`. */
  readonly base: string;
  /** Of a host: the only port, or "" for all. */
  readonly port: string;
}

const SINGLE_RESOURCES = ["kernel", "events", "registry", "kv", "metrics", "capabilities"] as const;

/** What every capability reaches, whatever it permits: itself. No pattern names it. */
export const SELF = "self";

const NAMES: Readonly<Record<string, RegExp>> = {
  service: NAME_PATTERN,
  secret: NAME_PATTERN,
  topic: /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/,
};

const NET = "net:";
/** Labels of letters, digits, `-` and `_`, as URL writes them; or an IPv6 address in brackets. */
const HOST =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62})){0,63}|\[[0-9a-f:.]{2,45}\])$/;
/** The last label of a domain that has subdomains holds a letter: an address has none. */
const DOMAIN = /[a-z][a-z0-9-]*$/;
const PORT = /^[1-9]\d{0,4}$/;

export const RESOURCE_RULE = `must be ${SINGLE_RESOURCES.join(", ")}, service:<id>, secret:<name>, topic:<name> or net:<host>[:<port>]; names may end in *, a host may start with *., and * alone is everything`;

/** The pattern, or undefined when the text is none. */
export function parsePattern(text: string): Pattern | undefined {
  if (text.length > MAX_RESOURCE_CHARS) return undefined;
  if (text === "*") return pattern(text, "all", "");
  if ((SINGLE_RESOURCES as readonly string[]).includes(text)) return pattern(text, "exact", text);
  const colon = text.indexOf(":");
  const kind = text.slice(0, Math.max(colon, 0));
  const name = text.slice(colon + 1);
  if (kind === "net") return parseNet(text);
  if (!Object.hasOwn(NAMES, kind)) return undefined;
  const names = NAMES[kind]!;
  if (names.test(name)) return pattern(text, "exact", text);
  if (!name.endsWith("*")) return undefined;
  const start = name.slice(0, -1);
  return start === "" || names.test(start) ? pattern(text, "prefix", text.slice(0, -1)) : undefined;
}

export const isResource = (text: string): boolean => {
  const parsed = parsePattern(text);
  return parsed !== undefined && (parsed.form === "exact" || parsed.form === "host");
};

export function matches(pattern: Pattern, resource: string): boolean {
  switch (pattern.form) {
    case "all":
      return true;
    case "exact":
      return resource === pattern.base;
    case "prefix":
      return resource.startsWith(pattern.base);
    case "host":
    case "subdomains": {
      if (!resource.startsWith(NET)) return false;
      const asked = parseNet(resource);
      return asked?.form === "host" && contains(pattern, asked);
    }
  }
}

export function contains(outer: Pattern, inner: Pattern): boolean {
  switch (outer.form) {
    case "all":
      return true;
    case "exact":
      return inner.form === "exact" && inner.base === outer.base;
    case "prefix":
      if (inner.form === "all") return false;
      return (isNet(inner) ? NET : inner.base).startsWith(outer.base);
    case "host":
      return inner.form === "host" && inner.base === outer.base && holdsPort(outer, inner);
    case "subdomains":
      return isNet(inner) && endsBelow(outer, inner) && holdsPort(outer, inner);
  }
}

const pattern = (text: string, form: Pattern["form"], base: string, port = ""): Pattern =>
  Object.freeze({ text, form, base, port });

function parseNet(text: string): Pattern | undefined {
  if (text === "net:*") return pattern(text, "prefix", NET);
  const [host, port] = splitPort(text.slice(NET.length));
  if (port !== "" && (!PORT.test(port) || Number(port) > 65_535)) return undefined;
  if (HOST.test(host)) return pattern(text, "host", host, port);
  const domain = host.slice(2);
  if (!host.startsWith("*.") || !HOST.test(domain) || !DOMAIN.test(domain)) return undefined;
  return pattern(text, "subdomains", host.slice(1), port);
}

function splitPort(text: string): [host: string, port: string] {
  const colon = text.lastIndexOf(":");
  if (colon < 0 || text.endsWith("]")) return [text, ""];
  // A colon with nothing behind it is no port, and no part of a host either.
  return colon === text.length - 1 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
}

const isNet = ({ form }: Pattern): boolean => form === "host" || form === "subdomains";
const holdsPort = (outer: Pattern, inner: Pattern): boolean =>
  outer.port === "" || outer.port === inner.port;
const endsBelow = (outer: Pattern, inner: Pattern): boolean =>
  inner.base.endsWith(outer.base) && (inner.form === "subdomains" || inner.base !== outer.base);
