/** The catalogue in protobuf: the file, its text, and a codec per message. */
import { catalogue, type OperationName } from "#api/catalogue.ts";
import { compileCodec, type MessageCodec } from "#api/proto-codec.ts";
import { deriveProto } from "#api/proto-derive.ts";
import { protoText } from "#api/proto-text.ts";

export const soloProto = deriveProto(catalogue);

/** The fully qualified gRPC service. */
export const SOLO_SERVICE = "solo.v1.Solo";

/** What proto/solo.proto holds. */
export const soloProtoText = (): string => protoText(soloProto);

export interface OperationCodecs {
  /** Closed: what the catalogue does not know is refused. */
  readonly request: MessageCodec;
  /** Open: an answer may hold more than its reader knows. */
  readonly response: MessageCodec;
}

export const operationCodecs = Object.fromEntries(
  soloProto.services.flatMap(({ methods }) =>
    methods.map(({ name, input, output }) => [
      name,
      {
        request: compileCodec(input, { closed: true, fault: "invalid_argument" }),
        response: compileCodec(output, { closed: false, fault: "internal" }),
      },
    ]),
  ),
) as Readonly<Record<OperationName, OperationCodecs>>;
