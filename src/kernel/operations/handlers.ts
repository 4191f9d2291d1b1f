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

/** The service that a checked input names. */
export const keyOf = (input: { readonly service_id: string }, { tenant }: Asked): ServiceKey => ({
  tenant,
  service: serviceId(input.service_id),
});
