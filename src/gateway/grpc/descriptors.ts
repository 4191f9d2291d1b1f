/**
 * What reflection tells of: the descriptors of every file that is served, found by name and by
 * symbol. Loaded when somebody first asks; the protobuf runtime behind it is no part of a start.
 */
import { toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_struct,
  type DescriptorProto,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { soloProto } from "#api/proto.ts";
import { fileDescriptor } from "#api/proto-descriptor.ts";
import { healthFile, REFLECTION_VERSIONS, reflectionFile } from "#gateway/grpc/protocols.ts";

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

export const soloDescriptors = (): Descriptors =>
  new Descriptors([
    fileDescriptor(soloProto),
    file_google_protobuf_struct.proto,
    fileDescriptor(healthFile),
    ...REFLECTION_VERSIONS.map((version) => fileDescriptor(reflectionFile(version))),
  ]);
