/** A stock grpc-js client, made from proto/solo.proto as any client author would. */
import { fileURLToPath } from "node:url";
import {
  Metadata,
  credentials,
  loadPackageDefinition,
  type Client,
  type ServiceClientConstructor,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { Endpoint } from "./http-connection.ts";

export interface CallRequest {
  readonly service_id: string;
  readonly name: string;
  readonly args: readonly unknown[];
}

export interface CallAnswer {
  readonly reply: { readonly numberValue: number };
}

type CallMethod = (
  request: CallRequest,
  metadata: Metadata,
  done: (error: ServiceError | null, answer: CallAnswer) => void,
) => void;

function soloClient(): ServiceClientConstructor {
  const path = fileURLToPath(new URL("../../proto/solo.proto", import.meta.url));
  const definition = loadSync(path, { keepCase: true, longs: Number });
  const loaded = loadPackageDefinition(definition) as unknown as {
    solo: { v1: { Solo: ServiceClientConstructor } };
  };
  return loaded.solo.v1.Solo;
}

export const soloService = (): ServiceDefinition => soloClient().service;

export interface GrpcCaller extends Disposable {
  call(request: CallRequest): Promise<CallAnswer>;
}

export function grpcCaller({ at, token }: { at: Endpoint; token: string }): GrpcCaller {
  const client = new (soloClient())(
    `${at.host}:${at.port}`,
    credentials.createInsecure(),
  ) as unknown as Client & { Call: CallMethod };
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return {
    call: (request) =>
      new Promise((resolve, reject) => {
        client.Call(request, metadata, (error, answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      }),
    [Symbol.dispose]: () => client.close(),
  };
}
