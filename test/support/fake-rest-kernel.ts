/** A kernel port in memory: checks tokens and inputs as the real one does, answers what a test gives it. */
import { catalogue, type OperationName } from "#api/catalogue.ts";
import type {
  IngressRequest,
  IngressResponse,
  KernelPort,
  RequestContext,
} from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import { DEADLINE_MS } from "./until.ts";

export const TOKEN = "solo_test";

type Handler<T> = (input: never, context: RequestContext) => T;

export interface FakeKernelOptions {
  readonly calls?: Partial<Record<OperationName, Handler<unknown>>>;
  readonly streams?: Partial<Record<OperationName, Handler<AsyncIterable<unknown>>>>;
  readonly ingress?: (request: IngressRequest, context: RequestContext) => Promise<IngressResponse>;
  readonly metrics?: string;
}

export interface FakeKernel extends KernelPort {
  /** Operations that arrived with a good token and input. */
  readonly seen: { name: OperationName; input: unknown; context: RequestContext }[];
}

export function fakeKernel(options: FakeKernelOptions = {}): FakeKernel {
  const seen: FakeKernel["seen"] = [];
  const identify = ({ credentials }: RequestContext): void => {
    if (credentials.token === TOKEN) return;
    throw new SoloError("unauthenticated", "A token is needed.", {
      hint: "`solo token` prints it.",
    });
  };
  const admit = (name: OperationName, raw: unknown, context: RequestContext): never => {
    identify(context);
    const parsed = catalogue[name].input.safeParse(raw);
    if (!parsed.success) {
      const fields = parsed.error.issues.map(({ path, message }) => ({
        field: path.join("."),
        message,
      }));
      throw new SoloError("invalid_argument", "The input is wrong.", { fields });
    }
    seen.push({ name, input: parsed.data, context });
    return parsed.data as never;
  };
  const port = {
    seen,
    admit: async (context: RequestContext) => identify(context),
    async call(name: OperationName, raw: unknown, context: RequestContext) {
      if (name === "Health" && context.credentials.token === undefined) return { status: "ok" };
      const input = admit(name, raw, context);
      const handler = options.calls?.[name];
      if (handler === undefined) throw new SoloError("unimplemented", `${name} is not there.`);
      return await handler(input, context);
    },
    async *stream(name: OperationName, raw: unknown, context: RequestContext) {
      const input = admit(name, raw, context);
      const handler = options.streams?.[name];
      if (handler === undefined) throw new SoloError("unimplemented", `${name} is not there.`);
      yield* handler(input, context);
    },
    async ingress(request: IngressRequest, context: RequestContext) {
      if (options.ingress === undefined)
        throw new SoloError("service_not_found", "No such service.");
      return await options.ingress(request, context);
    },
    metrics: async () => options.metrics ?? "",
  };
  return port as unknown as FakeKernel;
}

/** An event as Watch yields it. */
export const event = (id: number, type = "service_started") => ({
  id,
  timestamp: "0",
  wall_clock: "2026-01-01T00:00:00.000Z",
  tenant_id: "default",
  event_type: type,
  subject: null,
  payload: {},
  causation_id: null,
});

/** Settles when the signal fires; what a stream that waits for more does. */
export const aborted = (signal: AbortSignal): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
};

/** A promise and how to fulfil it, with a deadline: a test never waits for ever. */
export function signalled<T = void>(
  what: string,
  ms = DEADLINE_MS,
): { promise: Promise<T>; resolve: (value: T) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  return {
    promise: promise.finally(() => clearTimeout(timer)),
    resolve,
  };
}
