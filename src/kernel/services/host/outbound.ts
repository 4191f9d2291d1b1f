/**
 * The `fetch` of services: what a guest asks becomes a request of the kernel's, and its
 * answer flows back.
 *
 * 1. What the guest says is checked here field by field; where it may go is asked of its
 *    authority, hop by hop.
 * 2. The request ends when the guest gives it up or its instance ends.
 */
import { SoloError } from "#base/errors.ts";
import type { Config } from "#config/schema.ts";
import { Egress, type Leave } from "#egress/egress.ts";
import type { Account } from "#egress/flight.ts";
import { outgoing } from "#egress/headers.ts";
import { systemResolve, type Resolve } from "#egress/lookup.ts";
import type { Hop, RedirectMode } from "#egress/redirect.ts";
import { targetOf } from "#egress/target.ts";
import type { Metrics } from "#kernel/metrics.ts";
import type { Answer } from "#kernel/services/host/answers.ts";
import type { HostRequest } from "#kernel/services/host/host-api.ts";
import { fillHeaders } from "#kernel/services/host/secret-headers.ts";
import type { ServiceAuthority } from "#kernel/services/host/service-authority.ts";

export interface OutboundOptions {
  readonly egress: Egress;
  readonly metrics: Metrics;
  readonly authority: ServiceAuthority;
}

const METHOD = /^[!#$%&'*+\-.^_`|~A-Za-z0-9]{1,64}$/;
/** https://fetch.spec.whatwg.org/#forbidden-method */
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i;
const MODES: readonly RedirectMode[] = ["follow", "error", "manual"];

export class Outbound {
  readonly #options: OutboundOptions;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  /** Throws when it is malformed. */
  fetch(from: HostRequest, answer: Answer): void {
    const { egress, metrics } = this.#options;
    const { service } = from;
    const { hop, redirect } = readRequest(from.args[0]);
    const over = (account: Account) => metrics.egress(service.key, account);
    egress
      .fetch({
        owner: service.key,
        leave: this.#leave(from),
        hop,
        redirect,
        signal: answer.signal,
        over,
      })
      .then(
        ({ body, ...head }) => answer.respond(head, body),
        (error: unknown) => answer.refuse(error),
      );
  }

  #leave({ replica, instance }: HostRequest): Leave {
    const { authority } = this.#options;
    return {
      async connect({ host, port }) {
        const need = { permission: "connect", resource: `net:${host}:${port}` } as const;
        const named = authority.names(replica, need);
        const { recorded, onEnd } = authority.authorize(replica, need);
        await recorded;
        return { named, onEnd };
      },
      fill: (url, headers) => fillHeaders({ authority, replica, instance }, url, headers),
    };
  }
}

export const openEgress = (config: Config, resolve: Resolve = systemResolve): Egress =>
  new Egress({
    resolve,
    privateHosts: config.security.egress_private_hosts,
    bounds: {
      timeoutMs: config.egress.timeout_ms,
      maxRequestBytes: config.egress.max_request_bytes,
      maxResponseBytes: config.egress.max_response_bytes,
      perService: config.egress.max_per_service,
      perTenant: config.egress.max_per_tenant,
      maxIdle: config.egress.max_idle_connections,
    },
  });

function readRequest(value: unknown): { hop: Hop; redirect: RedirectMode } {
  const { url, method, headers, redirect, body } = (value ?? {}) as Record<string, unknown>;
  const mode = MODES.find((each) => each === redirect);
  if (typeof url !== "string" || typeof method !== "string" || !Array.isArray(headers)) {
    throw malformed("A request has a url, a method and headers.");
  }
  if (!METHOD.test(method) || FORBIDDEN_METHOD.test(method)) {
    throw malformed(`${JSON.stringify(method.slice(0, 64))} is no method that fetch sends.`);
  }
  if (mode === undefined) throw malformed(`redirect must be one of ${MODES.join(", ")}.`);
  const hasBody = typeof body === "string";
  if (hasBody && (method === "GET" || method === "HEAD")) {
    throw malformed(`A ${method} request has no body.`);
  }
  const hop: Hop = {
    target: targetOf(url),
    method,
    headers: outgoing(headers),
    body: hasBody ? Buffer.from(body, "base64") : undefined,
  };
  return { hop, redirect: mode };
}

const malformed = (detail: string): SoloError => new SoloError("invalid_argument", detail);
