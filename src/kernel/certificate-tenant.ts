/**
 * What a client certificate takes away (D13): it restricts, the token grants (pure).
 *
 * 1. Whoever shows a tenant's certificate acts for that tenant only, also with the owner's token.
 * 2. What concerns the whole kernel is not for somebody who is held to one tenant.
 */
import type { Credentials, RequestContext } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import { tenantId } from "#base/ids.ts";
import type { Presenter } from "#capability/check.ts";

/** The request as one of the certificate's tenant; throws when it is not for that tenant. */
export function held(
  context: RequestContext,
  asks: { readonly tenant: string | undefined; readonly wholeKernel: boolean },
): RequestContext {
  const { credentials } = context;
  const { certificateTenant: tenant } = credentials;
  if (tenant === undefined) return context;
  agree(tenant, asks.tenant);
  agree(tenant, credentials.tenant);
  if (asks.wholeKernel) notWholeKernel(tenant);
  return { ...context, credentials: { ...credentials, tenant } };
}

/** What the transport has proved of who presents a token. */
export const presenterOf = ({ certificateTenant }: Credentials): Presenter =>
  certificateTenant === undefined ? NOBODY : { tenant: tenantId(certificateTenant) };

const NOBODY: Presenter = Object.freeze({});

/** Refuses when the certificate's tenant is not the one that is acted for. */
export function agree(certificateTenant: string | undefined, tenant: string | undefined): void {
  if (certificateTenant === undefined || tenant === undefined) return;
  if (certificateTenant === tenant) return;
  throw new SoloError(
    "permission_denied",
    `The client certificate is the tenant ${certificateTenant}'s; it cannot act for another.`,
    { hint: "Use a certificate of the tenant you name, or an operator's." },
  );
}

/** Refuses what concerns the whole kernel. */
export function notWholeKernel(certificateTenant: string | undefined): void {
  if (certificateTenant === undefined) return;
  throw new SoloError(
    "permission_denied",
    `This concerns the whole kernel; the client certificate is the tenant ${certificateTenant}'s.`,
    { hint: "Use an operator's certificate: `solo certs issue --operator`." },
  );
}
