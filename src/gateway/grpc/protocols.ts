/**
 * The standard protobuf messages that a gRPC server speaks beside its own:
 * google.rpc (error details), grpc.health.v1, grpc.reflection.v1 and v1alpha.
 */
import { compileCodec, type MessageCodec } from "#api/proto-codec.ts";
import { message, type FieldType, type ProtoFile, type ProtoMessage } from "#api/proto-model.ts";

/** Of a standard protocol; whoever sent what cannot be read is to blame. */
export const standardCodec = (of: ProtoMessage): MessageCodec =>
  compileCodec(of, { closed: false, fault: "invalid_argument" });

const of = (inner: ProtoMessage): FieldType => ({ kind: "message", message: inner });
const repeated = { presence: "repeated" } as const;

// google/rpc/status.proto and error_details.proto
const any = message("Any", { type_url: [1, "string"], value: [2, "bytes"] });
const duration = message("Duration", { seconds: [1, "int64"], nanos: [2, "int32"] });
const violation = message("FieldViolation", { field: [1, "string"], description: [2, "string"] });

export const rpcStatus = message("Status", {
  code: [1, "int32"],
  message: [2, "string"],
  details: [3, of(any), repeated],
});
export const errorInfo = message("ErrorInfo", {
  reason: [1, "string"],
  domain: [2, "string"],
  metadata: [3, { kind: "map" }],
});
export const badRequest = message("BadRequest", { field_violations: [1, of(violation), repeated] });
export const retryInfo = message("RetryInfo", { retry_delay: [1, of(duration)] });

// grpc/health/v1/health.proto
export const HEALTH_SERVICE = "grpc.health.v1.Health";
export const SERVING_STATUS = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

const servingStatus = {
  name: "ServingStatus",
  values: ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"],
};
export const healthCheckRequest = message("HealthCheckRequest", { service: [1, "string"] });
export const healthCheckResponse = message(
  "HealthCheckResponse",
  { status: [1, { kind: "enum", enum: servingStatus }] },
  [servingStatus],
);

export const healthFile: ProtoFile = {
  path: "grpc/health/v1/health.proto",
  package: "grpc.health.v1",
  messages: [healthCheckRequest, healthCheckResponse],
  services: [
    {
      name: "Health",
      methods: [
        { name: "Check", input: healthCheckRequest, output: healthCheckResponse },
        {
          name: "Watch",
          input: healthCheckRequest,
          output: healthCheckResponse,
          serverStreaming: true,
        },
      ],
    },
  ],
};

// grpc/reflection/v1/reflection.proto; v1alpha differs in nothing but its name
const asked = { oneof: "message_request" } as const;
const answered = { oneof: "message_response" } as const;

const extensionRequest = message("ExtensionRequest", {
  containing_type: [1, "string"],
  extension_number: [2, "int32"],
});
export const reflectionRequest = message("ServerReflectionRequest", {
  host: [1, "string"],
  file_by_filename: [3, "string", asked],
  file_containing_symbol: [4, "string", asked],
  file_containing_extension: [5, of(extensionRequest), asked],
  all_extension_numbers_of_type: [6, "string", asked],
  list_services: [7, "string", asked],
});
const fileDescriptorResponse = message("FileDescriptorResponse", {
  file_descriptor_proto: [1, "bytes", repeated],
});
const extensionNumberResponse = message("ExtensionNumberResponse", {
  base_type_name: [1, "string"],
  extension_number: [2, "int32", repeated],
});
const serviceResponse = message("ServiceResponse", { name: [1, "string"] });
const listServiceResponse = message("ListServiceResponse", {
  service: [1, of(serviceResponse), repeated],
});
const errorResponse = message("ErrorResponse", {
  error_code: [1, "int32"],
  error_message: [2, "string"],
});
export const reflectionResponse = message("ServerReflectionResponse", {
  valid_host: [1, "string"],
  original_request: [2, of(reflectionRequest)],
  file_descriptor_response: [4, of(fileDescriptorResponse), answered],
  all_extension_numbers_response: [5, of(extensionNumberResponse), answered],
  list_services_response: [6, of(listServiceResponse), answered],
  error_response: [7, of(errorResponse), answered],
});

export const REFLECTION_VERSIONS = ["v1", "v1alpha"] as const;

export const reflectionFile = (version: (typeof REFLECTION_VERSIONS)[number]): ProtoFile => ({
  path: `grpc/reflection/${version}/reflection.proto`,
  package: `grpc.reflection.${version}`,
  messages: [
    reflectionRequest,
    extensionRequest,
    reflectionResponse,
    fileDescriptorResponse,
    extensionNumberResponse,
    listServiceResponse,
    serviceResponse,
    errorResponse,
  ],
  services: [
    {
      name: "ServerReflection",
      methods: [
        {
          name: "ServerReflectionInfo",
          input: reflectionRequest,
          output: reflectionResponse,
          clientStreaming: true,
          serverStreaming: true,
        },
      ],
    },
  ],
});
