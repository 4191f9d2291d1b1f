/**
 * The catalogue's operations as gRPC handlers.
 *
 * 1. Requests are read with closed codecs: what was not understood is refused.
 * 2. A stream waits for a slow client; it holds one message beyond what the transport buffers.
 */
import { SoloError } from "#base/errors.ts";
import type { OperationName } from "#api/catalogue.ts";
import type { KernelPort } from "#api/kernel-port.ts";
import { operationCodecs } from "#api/proto.ts";
import type { MessageCodec } from "#api/proto-codec.ts";
import type { GrpcLimits } from "#gateway/grpc/limits.ts";
import { contextOf } from "#gateway/grpc/request.ts";
import type { Handler } from "#gateway/grpc/router.ts";
import type { OpenStreams } from "#gateway/grpc/streams.ts";

export interface HandlerParts {
  readonly kernel: KernelPort;
  readonly limits: GrpcLimits;
  readonly streams: OpenStreams;
}

function encodeAnswer(
  codec: MessageCodec,
  answer: object,
  { maxSendBytes }: GrpcLimits,
): Uint8Array {
  const bytes = codec.encode(answer);
  if (bytes.length <= maxSendBytes) return bytes;
  throw new SoloError(
    "payload_too_large",
    `The answer has ${bytes.length} bytes; over gRPC at most ${maxSendBytes} are sent.`,
    { hint: "Ask for less, for instance with `limit`." },
  );
}

export function unaryHandler(name: OperationName, { kernel, limits }: HandlerParts): Handler {
  const { request, response } = operationCodecs[name];
  return async (call) => {
    const input = request.decode(await call.readOne());
    const answer = await kernel.call(name, input, contextOf(call));
    call.finish(encodeAnswer(response, answer, limits));
  };
}

export function streamHandler(
  name: OperationName,
  { kernel, limits, streams }: HandlerParts,
): Handler {
  const { request, response } = operationCodecs[name];
  return (call) =>
    streams.during(call, async () => {
      const input = request.decode(await call.readOne());
      for await (const message of kernel.stream(name, input, contextOf(call))) {
        if (call.signal.aborted) break;
        if (!call.write(encodeAnswer(response, message, limits))) await call.writable();
      }
    });
}
