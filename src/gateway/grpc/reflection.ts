/**
 * gRPC server reflection, v1 and v1alpha, from Solo's own descriptors. A file is answered
 * together with everything it imports, so that a client can use the answer alone.
 */
import { toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_struct,
  type DescriptorProto,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { GRPC } from "#base/errors.ts";
import { soloDescriptor } from "#api/proto.ts";
import { fileDescriptor } from "#api/proto-descriptor.ts";
import type { GrpcCall } from "#gateway/grpc/call.ts";
import {
  healthFile,
  reflectionFile,
  reflectionRequest,
  reflectionResponse,
  standardCodec,
} from "#gateway/grpc/protocols.ts";
import type { Router } from "#gateway/grpc/router.ts";
import type { OpenStreams } from "#gateway/grpc/streams.ts";

const VERSIONS = ["v1", "v1alpha"] as const;
const requests = standardCodec(reflectionRequest);
const responses = standardCodec(reflectionResponse);

function messageSymbols(scope: string, { name, nestedType, enumType }: DescriptorProto): string[] {
  const own = `${scope}.${name}`;
  return [
    own,
    ...enumType.map((item) => `${own}.${item.name}`),
    ...nestedType.flatMap((item) => messageSymbols(own, item)),
  ];
}

function symbolsOf(file: FileDescriptorProto): string[] {
  return [
    ...file.messageType.flatMap((item) => messageSymbols(file.package, item)),
    ...file.enumType.map(({ name }) => `${file.package}.${name}`),
    ...file.service.flatMap(({ name, method }) => {
      const own = `${file.package}.${name}`;
      return [own, ...method.map((item) => `${own}.${item.name}`)];
    }),
  ];
}

export class Descriptors {
  readonly #files = new Map<string, FileDescriptorProto>();
  readonly #fileOfSymbol = new Map<string, FileDescriptorProto>();

  constructor(files: readonly FileDescriptorProto[]) {
    for (const file of files) {
      this.#files.set(file.name, file);
      for (const symbol of symbolsOf(file)) this.#fileOfSymbol.set(symbol, file);
    }
  }

  /** The fully qualified names of all services. */
  services(): string[] {
    return [...this.#files.values()].flatMap((file) =>
      file.service.map(({ name }) => `${file.package}.${name}`),
    );
  }

  hasSymbol(symbol: string): boolean {
    return this.#fileOfSymbol.has(symbol);
  }

  byName(name: string): Uint8Array[] | undefined {
    return this.#withImports(this.#files.get(name));
  }

  bySymbol(symbol: string): Uint8Array[] | undefined {
    return this.#withImports(this.#fileOfSymbol.get(symbol));
  }

  #withImports(file: FileDescriptorProto | undefined): Uint8Array[] | undefined {
    if (file === undefined) return undefined;
    const needed = new Set<FileDescriptorProto>([file]);
    // A set hands out what is added to it while it is walked.
    for (const { dependency } of needed)
      for (const name of dependency) {
        const imported = this.#files.get(name);
        if (imported !== undefined) needed.add(imported);
      }
    return [...needed].map((item) => toBinary(FileDescriptorProtoSchema, item));
  }
}

const soloDescriptors = (): Descriptors =>
  new Descriptors([
    soloDescriptor(),
    file_google_protobuf_struct.proto,
    fileDescriptor(healthFile),
    ...VERSIONS.map((version) => fileDescriptor(reflectionFile(version))),
  ]);

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

export interface ReflectionParts {
  readonly router: Router;
  readonly streams: OpenStreams;
}

export function serveReflection({ router, streams }: ReflectionParts): void {
  const descriptors = soloDescriptors();
  const converse = async (call: GrpcCall): Promise<void> => {
    const said = call.read((bytes) => {
      const request = requests.decode(bytes);
      const body = answer(descriptors, request as unknown as ReflectionRequest);
      const message = { valid_host: request["host"], original_request: request, ...body };
      return call.write(responses.encode(message)) ? undefined : call.writable();
    });
    await Promise.race([said, call.gone]);
  };
  for (const version of VERSIONS)
    router.on(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, (call) =>
      streams.during(call, () => converse(call)),
    );
}
