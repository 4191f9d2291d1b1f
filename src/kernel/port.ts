/**
 * The door of the kernel: every operation from every gateway passes here.
 *
 * 1. The order is fixed: who asks, may they, is the input right, then the work.
 * 2. What leaves is an answer or a SoloError; nothing unforeseen shows its text.
 * 3. A stream, an open body and a call under way end with the capability that allowed them.
 */
import { catalogue, type OperationName, type OutputOf } from "#api/catalogue.ts";
import { invalidInput } from "#api/invalid-input.ts";
import type { Operation } from "#api/operation.ts";
import { longForm } from "#api/short-forms.ts";
import type {
  IngressRequest,
  IngressResponse,
  KernelPort,
  RequestContext,
} from "#api/kernel-port.ts";
import type { Clock } from "#base/clock.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import { isName, tenantId, type ServiceId, type TenantId } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { Authority, Presented, Principal } from "#kernel/authority.ts";
import { agree, held, notWholeKernel, presenterOf } from "#kernel/certificate-tenant.ts";
import type { Lease } from "#kernel/lease.ts";
import type { Metrics } from "#kernel/metrics.ts";
import type { Handlers, Asked } from "#kernel/operations/handlers.ts";
import { Exchange } from "#kernel/services/messages/exchange.ts";
import { fetchPayload } from "#kernel/services/messages/payload.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Tenants } from "#kernel/tenants.ts";

const ENTRY = { permission: "read", resource: "kernel" } as const;
const METRICS = { permission: "read", resource: "metrics", tenant: null } as const;
const HIDDEN = new SoloError("handler_failed", "The service failed to answer.");

export interface PortOptions {
  readonly handlers: Handlers;
  readonly authority: Authority;
  readonly tenants: Tenants;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Logger;
  /** Resolves when every service is back, or will not be. Until then requests wait: a client
   *  that reconnects to a starting kernel must not hear a refusal and give up. */
  readonly opened: Promise<void>;
  /** False before that, and once the kernel stops: nothing new is taken. */
  readonly isOpen: () => boolean;
}

interface Entered {
  readonly checked: unknown;
  readonly asked: Asked;
  readonly ask: Presented;
  /** What is to be on disk before the work begins. */
  readonly recorded: Promise<void> | undefined;
}

interface Entrance {
  readonly service: Service;
  /** Of a service that is not public. */
  readonly principal?: Principal;
  readonly ask?: Presented;
  readonly recorded?: Promise<void> | undefined;
}

export class Port implements KernelPort {
  readonly #options: PortOptions;

  constructor(options: PortOptions) {
    this.#options = options;
  }

  async admit({ credentials }: RequestContext): Promise<void> {
    await this.#opened();
    const { authority } = this.#options;
    if (authority.identify(credentials, ENTRY) === undefined) {
      throw authority.strangerRefusal(ENTRY);
    }
  }

  async call<N extends OperationName>(
    name: N,
    input: unknown,
    context: RequestContext,
  ): Promise<OutputOf<N>> {
    const { clock, metrics } = this.#options;
    const begun = clock.now();
    let code = "ok";
    let asked: Asked | undefined;
    try {
      if (name !== "Health") await this.#opened();
      const { checked, ask, recorded, ...entered } = this.#enter(name, input, context);
      ({ asked } = entered);
      if (recorded !== undefined) await recorded;
      const handler = this.#options.handlers[name] as (
        input: unknown,
        asked: Asked,
      ) => Promise<OutputOf<N>>;
      // What the kernel itself does once it has begun is done whole: it is brief.
      using lease = ask.call && this.#options.authority.lease(asked.principal, ask, context.signal);
      return await handler(checked, during(lease, asked));
    } catch (error) {
      const refusal = this.#discreet(this.#foresee(name, error), asked);
      code = refusal.code;
      throw refusal;
    } finally {
      metrics.requested(name, code, clock.now() - begun);
    }
  }

  async *stream<N extends OperationName>(
    name: N,
    input: unknown,
    context: RequestContext,
  ): AsyncGenerator<OutputOf<N>> {
    let asked: Asked | undefined;
    try {
      if (name !== "Health") await this.#opened();
      const entered = this.#enter(name, input, context);
      const { checked, ask, recorded } = entered;
      ({ asked } = entered);
      if (recorded !== undefined) await recorded;
      const handler = this.#options.handlers[name] as (
        input: unknown,
        asked: Asked,
      ) => AsyncIterable<OutputOf<N>>;
      using lease = this.#options.authority.lease(asked.principal, ask, context.signal);
      if (lease === undefined) return yield* handler(checked, asked);
      for await (const item of handler(checked, during(lease, asked))) {
        if (lease.refusal !== undefined) break;
        yield item;
      }
      if (lease.refusal !== undefined) throw lease.refusal;
    } catch (error) {
      throw this.#discreet(this.#foresee(name, error), asked);
    }
  }

  async ingress(request: IngressRequest, context: RequestContext): Promise<IngressResponse> {
    let service: Service | undefined;
    try {
      await this.#opened();
      const entrance = this.#ingressTarget(request, context);
      ({ service } = entrance);
      const { principal, ask, recorded } = entrance;
      if (recorded !== undefined) await recorded;
      const lease = ask && this.#options.authority.lease(principal, ask, context.signal);
      return await forward({ service, request, context, lease });
    } catch (error) {
      const known = this.#foresee("ingress", error);
      // What a public service threw is its owner's business, not its visitors'.
      throw known.code === "handler_failed" && service?.spec.ingress === "public" ? HIDDEN : known;
    }
  }

  async metrics(context: RequestContext): Promise<string> {
    const { authority, metrics } = this.#options;
    const principal = authority.identify(context.credentials, METRICS);
    authority.attested(METRICS, () => notWholeKernel(context.credentials.certificateTenant));
    await authority.authorize(principal, METRICS);
    return await metrics.text();
  }

  #enter(name: OperationName, input: unknown, context: RequestContext): Entered {
    const { credentials } = context;
    const operation: Operation = catalogue[name];
    const { authority } = this.#options;
    const { permission, scope = "tenant" } = operation;
    const guarded = scope !== "anyone";
    const principal =
      guarded || authority.isOpen
        ? authority.identify(credentials, { permission, resource: "kernel" })
        : undefined;
    // A stranger is turned away before anything of the request is looked at.
    if (guarded && principal === undefined) {
      throw authority.strangerRefusal({ permission, resource: "kernel" });
    }
    const given = longForm(name, input ?? {});
    const parsed = operation.input.safeParse(given);
    if (!parsed.success) throw invalidInput(operation.input, parsed.error, given);
    const checked = parsed.data;
    const named = checked["tenant_id"] as string | undefined;
    const resource = operation.resource(checked);
    const wanted = { permission, resource, tenant: named === undefined ? null : tenantId(named) };
    const own = guarded
      ? authority.attested(wanted, () =>
          held(context, { tenant: named, wholeKernel: scope === "kernel" }),
        )
      : context;
    const tenant = authority.tenantOf(own.credentials, named, principal);
    const asked = { principal, tenant, context: own };
    const ask = {
      permission,
      resource,
      tenant: scope === "kernel" ? null : tenant,
      call: operation.call?.(checked),
      presenter: presenterOf(credentials),
    };
    const recorded = guarded ? authority.authorize(principal, ask) : undefined;
    return { checked, asked, ask, recorded };
  }

  /** The service, and what is to be on disk before it is asked. */
  #ingressTarget(
    { tenant, service, method, url }: IngressRequest,
    { credentials }: RequestContext,
  ): Entrance {
    const { authority, tenants } = this.#options;
    const named = isName(tenant) && isName(service);
    const key = { tenant: tenant as TenantId, service: service as ServiceId };
    const target = named ? tenants.find(key) : undefined;
    let entered: Omit<Entrance, "service"> = {};
    // A stranger learns nothing of what exists: who may ask is settled before "not found".
    if (target?.spec.ingress !== "public") {
      const resource = named ? `service:${service}` : "kernel";
      const principal = authority.identify(credentials, { permission: "invoke", resource });
      const ask: Presented = {
        permission: "invoke",
        resource,
        tenant: named ? key.tenant : null,
        call: { handler: `fetch.${method}`, args: [pathOf(url)] },
        presenter: presenterOf(credentials),
      };
      authority.attested(ask, () => agree(credentials.certificateTenant, tenant));
      entered = { principal, ask, recorded: authority.authorize(principal, ask) };
    }
    if (target !== undefined) return { ...entered, service: target };
    throw new SoloError("service_not_found", `There is no service ${tenant}/${service}.`, {
      hint: "The path is /s/{tenant}/{service}/…",
    });
  }

  async #opened(): Promise<void> {
    const { isOpen, opened } = this.#options;
    if (isOpen()) return;
    await opened;
    if (isOpen()) return;
    throw new SoloError("shutting_down", "The kernel is stopping.", {
      hint: "Try again once it is back.",
      retryAfterMs: 1000,
    });
  }

  /** What else there is, is told to those who may list it. */
  #discreet(error: SoloError, asked: Asked | undefined): SoloError {
    if (error.code !== "service_not_found" || asked === undefined) return error;
    const { principal, tenant } = asked;
    const list = { permission: "read", resource: "kernel", tenant } as const;
    if (this.#options.authority.allows(principal, list)) return error;
    return new SoloError(error.code, error.message);
  }

  #foresee(name: string, error: unknown): SoloError {
    const known = toSoloError(error);
    if (known.code === "internal") {
      const cause = known.options.cause ?? error;
      this.#options.log.error("operation failed", {
        operation: name,
        error: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
      });
    }
    return known;
  }
}

async function forward(options: {
  readonly service: Service;
  readonly request: IngressRequest;
  readonly context: RequestContext;
  readonly lease: Lease | undefined;
}): Promise<IngressResponse> {
  const { service, request, context, lease } = options;
  const { method, url, headers, body } = request;
  const gone = () => dispatch.cancel(new SoloError("cancelled", "The client is gone."));
  const exchange = new Exchange({ body, abort: gone, signal: context.signal });
  const dispatch = service.send({
    kind: "fetch",
    handler: "fetch",
    payload: fetchPayload({ method, url, headers, body: body !== undefined }),
    bodies: exchange,
    outcome: { reply: () => {}, fail: (error) => exchange.fail(error) },
    timeoutMs: context.timeoutMs,
    key: routingKey(headers),
  });
  if (lease === undefined) return exchange.response;
  const end = () => {
    if (lease.refusal === undefined) return;
    dispatch.cancel(lease.refusal);
    exchange.fail(lease.refusal);
  };
  lease.signal.addEventListener("abort", end, { once: true });
  if (lease.signal.aborted) end();
  try {
    const response = await exchange.response;
    if (response.body === undefined) lease[Symbol.dispose]();
    return { ...response, body: response.body && bodyDuring(lease, response.body) };
  } catch (error) {
    lease[Symbol.dispose]();
    throw error;
  }
}

/** Its signal fires with the refusal when the capability ends. */
function during(lease: Lease | undefined, asked: Asked): Asked {
  if (lease === undefined) return asked;
  if (lease.refusal !== undefined) throw lease.refusal;
  return { ...asked, context: { ...asked.context, signal: lease.signal } };
}

async function* bodyDuring(
  lease: Lease,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  using _ = lease;
  for await (const bytes of body) {
    if (lease.refusal !== undefined) throw lease.refusal;
    yield bytes;
  }
}

/** What the client wants to be routed by. */
const routingKey = (headers: IngressRequest["headers"]): string | undefined =>
  headers.find(([name]) => name.toLowerCase() === "x-solo-key")?.[1];

/** As the service sees it, dots resolved: what a rule about paths is checked against. */
const pathOf = (url: string): string => URL.parse(url)?.pathname ?? "";
