/**
 * `{{secret:name}}` in the headers of a service's outgoing requests.
 *
 * 1. A value is filled in only for a secret that the service is bound to, and only towards a host
 *    that the binding names: over HTTPS, unless the binding says http://.
 * 2. No error holds a value.
 */
import { SoloError } from "#base/errors.ts";
import { matches, parsePattern } from "#capability/resource.ts";
import { hostRule, type SecretBinding } from "#deploy/secret-bindings.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import { needToFill } from "#kernel/services/host/replica-secrets.ts";
import type { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import { type Redacted, type Redactor, redactor } from "#vault/redactor.ts";

export type Headers = readonly (readonly [name: string, value: string])[];

export interface FilledHeaders {
  readonly headers: Headers;
  /** Names of the headers that hold a value: not to be sent on to another origin. */
  readonly filled: ReadonlySet<string>;
  /** Set when a value was filled in that the service may not read. What comes back goes through
   *  it, as latin1 text, so that a host which echoes the request does not hand the value over. */
  readonly echo: Redactor | undefined;
}

/** Whose request it is, and what says whether it still may. */
export interface Filling {
  readonly authority: ServiceAuthority;
  readonly replica: Replica;
  readonly instance: Instance;
}

const TEMPLATE = /\{\{secret:([^{}]{0,64})\}\}/g;
/** What RFC 9110 lets a field's value hold: visible characters, spaces, tabs, and obs-text. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/**
 * The headers with every template filled in, for a request to `url`. Asked for once for each hop
 * of a redirect. Refused with `permission_denied` for a secret or a host that is not the
 * service's, and with `invalid_argument` for a value that no header can hold.
 */
export async function fillHeaders(
  from: Filling,
  url: URL,
  headers: Headers,
): Promise<FilledHeaders> {
  if (!headers.some(([, value]) => value.includes("{{secret:")))
    return { headers, filled: new Set(), echo: undefined };
  const filled = new Set<string>();
  const hidden: Redacted[] = [];
  const out: [string, string][] = [];
  for (const [name, value] of headers) {
    const asked = [...value.matchAll(TEMPLATE)].map((match) => match[1]!);
    const values = new Map<string, string>();
    for (const as of new Set(asked)) {
      const { text, binding } = await valueFor(from, url, as);
      values.set(as, text);
      if (binding.use === "inject")
        hidden.push({ name: binding.name, value: Buffer.from(text, "latin1") });
    }
    if (values.size > 0) filled.add(name.toLowerCase());
    out.push([name, value.replace(TEMPLATE, (_, as: string) => values.get(as)!)]);
  }
  return { headers: out, filled, echo: hidden.length === 0 ? undefined : redactor(hidden) };
}

async function valueFor(
  { authority, replica, instance }: Filling,
  url: URL,
  as: string,
): Promise<{ text: string; binding: SecretBinding }> {
  const { secrets } = replica;
  const binding = secrets.bound(instance.id, as);
  if (!isAllowed(binding, url)) {
    throw secrets.denied(instance.id, binding.name, notForHost(binding, url));
  }
  await authority.authorize(replica, needToFill(binding)).recorded;
  using secret = await secrets.value(binding, {
    instance: instance.id,
    use: "inject",
    host: url.host,
  });
  // Its bytes as they are: a header's value is bytes.
  const text = Buffer.from(secret.bytes).toString("latin1");
  if (FIELD_VALUE.test(text)) return { text, binding };
  throw new SoloError("invalid_argument", `The secret ${as} cannot stand in a header.`, {
    hint: "It holds line breaks or control characters; store it again without them.",
  });
}

/** A binding that may be read and names no hosts may go wherever the service may connect. */
export function isAllowed({ use, hosts }: SecretBinding, url: URL): boolean {
  if (use === "read" && hosts.length === 0) return true;
  const host = url.hostname.replace(/\.$/, "");
  const resource = `net:${host}:${url.port === "" ? PORTS[url.protocol] : url.port}`;
  return hosts.some((each) => {
    const rule = hostRule(each);
    if (url.protocol !== (rule.plain ? "http:" : "https:")) return false;
    const pattern = parsePattern(rule.resource);
    if (pattern === undefined || !matches(pattern, resource)) return false;
    // A host without a port means the protocol's own, not any.
    return pattern.port !== "" || url.port === "";
  });
}

const notForHost = ({ as, hosts }: SecretBinding, url: URL): SoloError =>
  new SoloError(
    "permission_denied",
    `The secret ${as} may not be sent to ${url.protocol}//${url.host}.`,
    {
      hint: `Its deployment names ${hosts.join(", ")}; add the host to the "hosts" of its entry in "secrets". Without http:// in front, a host is reached over HTTPS only.`,
    },
  );
