/** A stock gRPC client, made from proto/solo.proto alone as any client author would. */
import { fileURLToPath } from "node:url";
import {
  Metadata,
  credentials,
  loadPackageDefinition,
  type ChannelCredentials,
  type Client,
  type ClientReadableStream,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ErrorBody } from "#base/errors.ts";

const definition = loadSync(fileURLToPath(new URL("../../proto/solo.proto", import.meta.url)), {
  keepCase: true,
  longs: Number,
});
const { solo } = loadPackageDefinition(definition) as unknown as {
  solo: { v1: { Solo: ServiceClientConstructor } };
};

export interface CallOptions {
  readonly metadata?: Record<string, string>;
  readonly timeoutMs?: number;
}

export interface StockClient {
  readonly raw: Client;
  unary(name: string, request: object, options?: CallOptions): Promise<Record<string, unknown>>;
  stream(
    name: string,
    request: object,
    options?: CallOptions,
  ): ClientReadableStream<Record<string, unknown>>;
  close(): void;
}

type Method = (request: object, metadata: Metadata, options: object, callback?: unknown) => unknown;

export function stockClient(
  address: { host: string; port: number },
  channel: ChannelCredentials = credentials.createInsecure(),
): StockClient {
  const raw = new solo.v1.Solo(`${address.host}:${address.port}`, channel, {
    // A connection of its own, so that tests do not share one through grpc-js's global pool.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    // Whatever proxy the machine has for the world, there is none to itself.
    "grpc.enable_http_proxy": 0,
  });
  const invoke = (name: string, request: object, options: CallOptions = {}, callback?: unknown) => {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
    const deadline =
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
    const method = (raw as unknown as Record<string, Method>)[name]!.bind(raw);
    return callback === undefined
      ? method(request, metadata, deadline)
      : method(request, metadata, deadline, callback);
  };
  return {
    raw,
    unary: (name, request, options) =>
      new Promise((resolve, reject) => {
        invoke(
          name,
          request,
          options,
          (error: ServiceError | null, answer: Record<string, unknown>) =>
            error === null ? resolve(answer) : reject(error),
        );
      }),
    stream: (name, request, options) =>
      invoke(name, request, options) as ClientReadableStream<Record<string, unknown>>,
    close: () => raw.close(),
  };
}

/** The Solo error inside a gRPC error's trailing metadata. */
export const soloErrorOf = (error: ServiceError): ErrorBody =>
  JSON.parse(String(error.metadata.get("solo-error-bin")[0])) as ErrorBody;

/** The rejection of a call, which must fail. */
export async function failureFrom(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (thrown) {
    return thrown as ServiceError;
  }
  throw new Error("The call did not fail.");
}
