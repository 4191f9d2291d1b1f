/**
 * What a gateway sees of the kernel: operations and HTTP ingress, nothing else.
 *
 * 1. A gateway translates protocols; who may do what is decided behind this port.
 * 2. `input` is whatever the client sent; it is parsed behind the port, so that every
 *    gateway refuses the same things with the same words.
 * 3. Every call ends: with an answer, with a SoloError, or because `signal` fired.
 */
import type { OperationName, OutputOf } from "#api/catalogue.ts";

/** Who asks, as the protocol carried it. */
export interface Credentials {
  /** The bearer token, without the word Bearer. */
  readonly token?: string;
  /** The tenant to act for: header or metadata `x-solo-tenant`. */
  readonly tenant?: string;
  /** The tenant that the client's certificate holds it to, if it showed one. */
  readonly certificateTenant?: string;
}

export interface RequestContext {
  readonly credentials: Credentials;
  /** Fires when the client is gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** Milliseconds left for the request as the protocol said (grpc-timeout), if it did. */
  readonly timeoutMs?: number;
}

/** An HTTP request for a service's `fetch`. */
export interface IngressRequest {
  readonly tenant: string;
  readonly service: string;
  readonly method: string;
  /** What the service sees: origin as the client wrote it, path below /s/{tenant}/{service}. */
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

export interface IngressResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** Ends when the service ended the body; throws a SoloError when it broke off. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

export interface KernelPort {
  /** Refuses a stranger: for what a gateway answers without an operation. */
  admit(context: RequestContext): Promise<void>;
  call<N extends OperationName>(
    name: N,
    input: unknown,
    context: RequestContext,
  ): Promise<OutputOf<N>>;
  stream<N extends OperationName>(
    name: N,
    input: unknown,
    context: RequestContext,
  ): AsyncIterable<OutputOf<N>>;
  ingress(request: IngressRequest, context: RequestContext): Promise<IngressResponse>;
  /** Prometheus text exposition of the kernel's metrics. */
  metrics(context: RequestContext): Promise<string>;
}
