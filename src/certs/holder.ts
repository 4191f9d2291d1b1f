/**
 * Whom a client certificate speaks for (pure).
 *
 * 1. A tenant's certificate says so in one SAN URI, `solo://tenant/<id>`; where there is no URI of
 *    Solo's, the common name is the tenant. `solo://operator` speaks for no tenant in particular.
 * 2. What is not plainly one holder is nobody: several URIs of ours, a name that no tenant can
 *    have, names that Node had to quote.
 */
import { isName } from "#base/ids.ts";

export type Holder = { readonly kind: "tenant"; readonly tenant: string } | { kind: "operator" };

const SCHEME = "solo://";
const TENANT = `${SCHEME}tenant/`;
const OPERATOR = `${SCHEME}operator`;

export const holderUri = (holder: Holder): string =>
  holder.kind === "operator" ? OPERATOR : TENANT + holder.tenant;

export interface CertificateNames {
  /** As node:crypto writes it: `URI:solo://tenant/acme, DNS:example`. */
  readonly subjectAltName: string | undefined;
  /** The values of CN in the subject. */
  readonly commonNames: readonly string[];
}

/** The holder, or why there is none. */
export function holderOf({ subjectAltName = "", commonNames }: CertificateNames): Holder | string {
  // Node quotes what could be mistaken for a separator; nothing of ours needs it.
  if (subjectAltName.includes('"')) return "its alternative names are not plain";
  const uris = subjectAltName
    .split(", ")
    .filter((name) => name.startsWith("URI:"))
    .map((name) => name.slice("URI:".length));
  const own = uris.filter((uri) => uri.toLowerCase().startsWith(SCHEME));
  if (own.length > 1) return "it names several holders";
  const [uri] = own;
  if (uri !== undefined) return holderOfUri(uri);
  const [name] = commonNames;
  if (commonNames.length > 1) return "it has several common names";
  if (name === undefined) return `it has neither a ${TENANT}<id> URI nor a common name`;
  return isName(name) ? { kind: "tenant", tenant: name } : "its common name cannot be a tenant's";
}

function holderOfUri(uri: string): Holder | string {
  if (uri === OPERATOR) return { kind: "operator" };
  const tenant = uri.startsWith(TENANT) ? uri.slice(TENANT.length) : "";
  return isName(tenant) ? { kind: "tenant", tenant } : `its URI is not ${TENANT}<id>`;
}
