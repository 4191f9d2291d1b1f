/**
 * gRPC server reflection, v1 and v1alpha, from Solo's own descriptors. A file is answered
 * together with everything it imports, so that a client can use the answer alone.
 */
import { GRPC } from "#base/errors.ts";
import type { GrpcCall } from "#gateway/grpc/call.ts";
import type { Descriptors } from "#gateway/grpc/descriptors.ts";
import {
  REFLECTION_VERSIONS,
  reflectionRequest,
  reflectionResponse,
  standardCodec,
} from "#gateway/grpc/protocols.ts";
import type { Router } from "#gateway/grpc/router.ts";
import type { OpenStreams } from "#gateway/grpc/streams.ts";

const requests = standardCodec(reflectionRequest);
const responses = standardCodec(reflectionResponse);

interface ReflectionRequest {
  readonly host: string;
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
  readonly file_containing_extension?: object;
  readonly all_extension_numbers_of_type?: string;
  readonly list_services?: string;
}

const failure = (error_code: number, error_message: string) => ({
  error_response: { error_code, error_message },
});

function filesOr(files: Uint8Array[] | undefined, what: string): object {
  if (files === undefined) return failure(GRPC.NOT_FOUND, `${what} is not known here.`);
  return { file_descriptor_response: { file_descriptor_proto: files } };
}

function answer(descriptors: Descriptors, request: ReflectionRequest): object {
  const { file_by_filename: name, file_containing_symbol: symbol } = request;
  const { all_extension_numbers_of_type: extended } = request;
  if (name !== undefined) return filesOr(descriptors.byName(name), name);
  if (symbol !== undefined) return filesOr(descriptors.bySymbol(symbol), symbol);
  if (request.list_services !== undefined)
    return {
      list_services_response: { service: descriptors.services().map((item) => ({ name: item })) },
    };
  if (extended !== undefined && descriptors.hasSymbol(extended))
    return { all_extension_numbers_response: { base_type_name: extended, extension_number: [] } };
  if (extended !== undefined || request.file_containing_extension !== undefined)
    return failure(GRPC.NOT_FOUND, "There is no such extension; proto3 has none.");
  return failure(GRPC.INVALID_ARGUMENT, "The request asks for nothing.");
}

async function loadDescriptors(): Promise<Descriptors> {
  const { soloDescriptors } = await import("#gateway/grpc/descriptors.ts");
  return soloDescriptors();
}

export interface ReflectionParts {
  readonly router: Router;
  readonly streams: OpenStreams;
}

export function serveReflection({ router, streams }: ReflectionParts): void {
  let made: Promise<Descriptors> | undefined;
  const converse = async (call: GrpcCall): Promise<void> => {
    const descriptors = await (made ??= loadDescriptors());
    const said = call.read((bytes) => {
      const request = requests.decode(bytes);
      const body = answer(descriptors, request as unknown as ReflectionRequest);
      const message = { valid_host: request["host"], original_request: request, ...body };
      return call.write(responses.encode(message)) ? undefined : call.writable();
    });
    await Promise.race([said, call.gone]);
  };
  for (const version of REFLECTION_VERSIONS)
    router.on(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, (call) =>
      streams.during(call, () => converse(call)),
    );
}
