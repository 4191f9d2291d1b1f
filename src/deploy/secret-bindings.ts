/** Which secrets a service gets, and how: the `secrets` of a deploy, checked. */
import { isName, NAME_RULE } from "#base/ids.ts";
import { parsePattern } from "#capability/resource.ts";

/** `read`: the service is given the value. `inject`: the kernel fills it into requests. */
export type SecretUse = "read" | "inject";

export interface SecretBinding {
  /** Of the secret in the vault. */
  readonly name: string;
  /** What the service calls it. */
  readonly as: string;
  readonly use: SecretUse;
  /** Where it may be filled into requests; empty: wherever the service may connect. */
  readonly hosts: readonly string[];
}

export interface SecretInput {
  readonly name: string;
  readonly as?: string | undefined;
  readonly use?: SecretUse | undefined;
  readonly hosts?: readonly string[] | undefined;
}

const MAX_BINDINGS = 32;
const MAX_HOSTS = 32;
const PLAIN = "http://";
const HOST_RULE =
  "must be a host such as api.example.com, *.example.com or api.example.com:8443 (over HTTPS), or http://host:port for one without TLS";

/** Where a pattern of hosts applies; `plain` ones are reached over HTTP without TLS. */
export interface HostRule {
  readonly plain: boolean;
  /** A pattern of `net:` resources. */
  readonly resource: string;
}

export const hostRule = (host: string): HostRule =>
  host.startsWith(PLAIN)
    ? { plain: true, resource: `net:${host.slice(PLAIN.length)}` }
    : { plain: false, resource: `net:${host}` };

export function resolveBindings(
  inputs: readonly SecretInput[],
  refuse: (field: string, message: string) => void,
): readonly SecretBinding[] {
  if (inputs.length > MAX_BINDINGS)
    refuse("secrets", `has ${inputs.length} entries; at most ${MAX_BINDINGS} are taken`);
  const taken = new Set<string>();
  return inputs.slice(0, MAX_BINDINGS).map(({ name, as = name, use = "read", hosts = [] }, at) => {
    const field = `secrets.${at}`;
    if (!isName(name)) refuse(`${field}.name`, NAME_RULE);
    if (!isName(as)) refuse(`${field}.as`, NAME_RULE);
    if (taken.has(as)) refuse(`${field}.as`, `${as} is the name of another entry`);
    taken.add(as);
    if (use === "inject" && hosts.length === 0)
      refuse(`${field}.hosts`, "name the hosts that may be sent the value");
    if (hosts.length > MAX_HOSTS)
      refuse(`${field}.hosts`, `has ${hosts.length} entries; at most ${MAX_HOSTS} are taken`);
    for (const host of hosts.slice(0, MAX_HOSTS)) {
      const pattern = parsePattern(hostRule(host).resource);
      if (pattern === undefined || pattern.text === "net:*")
        refuse(`${field}.hosts`, `${host.slice(0, 80)} ${HOST_RULE}`);
    }
    return Object.freeze({ name, as, use, hosts: Object.freeze([...hosts]) });
  });
}
