/** The shape of what serves the catalogue: one handler for each operation. */
import type { Catalogue, InputOf, OperationName, OutputOf } from "#api/catalogue.ts";
import type { RequestContext } from "#api/kernel-port.ts";
import type { ServiceKey, TenantId } from "#base/ids.ts";
import { serviceId } from "#base/ids.ts";
import type { Principal } from "#kernel/authority.ts";

export interface Asked {
  /** What was presented; undefined where anyone may ask. */
  readonly principal: Principal;
  /** Whom the request acts for. */
  readonly tenant: TenantId;
  readonly context: RequestContext;
}

type Handler<N extends OperationName> = Catalogue[N]["streaming"] extends true
  ? (input: InputOf<N>, asked: Asked) => AsyncIterable<OutputOf<N>>
  : (input: InputOf<N>, asked: Asked) => Promise<OutputOf<N>> | OutputOf<N>;

export type Handlers = { readonly [N in OperationName]: Handler<N> };

/** Who may act for any tenant sees every tenant unless one is named; others see their own. */
export const seesEveryTenant = (
  named: string | undefined,
  { principal, context }: Pick<Asked, "principal" | "context">,
): boolean =>
  principal?.record.tenant === null &&
  named === undefined &&
  context.credentials.tenant === undefined;

/** The service that a checked input names. */
export const keyOf = (
  input: { readonly service_id: string },
  asked: Pick<Asked, "tenant"> | TenantId,
): ServiceKey => ({
  tenant: typeof asked === "string" ? asked : asked.tenant,
  service: serviceId(input.service_id),
});
