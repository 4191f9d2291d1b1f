/** A KernelPort of a few lines, for tests of gateways: it answers what a test says. */
import type { OperationName, OutputOf } from "#api/catalogue.ts";
import type { KernelPort, RequestContext } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";

type Unary = (input: Record<string, unknown>, context: RequestContext) => unknown;
type Stream = (input: Record<string, unknown>, context: RequestContext) => AsyncIterable<unknown>;

export interface FakeOperations {
  readonly calls?: Partial<Record<OperationName, Unary>>;
  readonly streams?: Partial<Record<OperationName, Stream>>;
}

export function fakeKernel({ calls = {}, streams = {} }: FakeOperations): KernelPort {
  const missing = (name: string) =>
    new SoloError("unimplemented", `The fake kernel has no ${name}.`);
  return {
    admit: () => Promise.resolve(),
    async call<N extends OperationName>(name: N, input: unknown, context: RequestContext) {
      const operation = calls[name];
      if (operation === undefined) throw missing(name);
      return (await operation(input as Record<string, unknown>, context)) as OutputOf<N>;
    },
    stream<N extends OperationName>(name: N, input: unknown, context: RequestContext) {
      const operation = streams[name];
      if (operation === undefined) throw missing(name);
      return operation(input as Record<string, unknown>, context) as AsyncIterable<OutputOf<N>>;
    },
    ingress: () => Promise.reject(missing("ingress")),
    metrics: () => Promise.resolve(""),
  };
}
