/** The reading thread: long reads of the event log never hold up a commit. */
import { parentPort, workerData } from "node:worker_threads";
import { toSoloError } from "#base/errors.ts";
import { readEvents } from "#storage/event-reader.ts";
import { EventSource } from "#storage/event-source.ts";
import { verifyStep } from "#storage/event-verifier.ts";
import type { FromThread, Request } from "#storage/protocol.ts";

export interface ReaderData {
  readonly eventsDir: string;
}

type ReaderRequest = Request<"read" | "verify" | "close">;

function main(port: NonNullable<typeof parentPort>): void {
  const source = new EventSource((workerData as ReaderData).eventsDir);
  const answer = (request: ReaderRequest) => {
    if (request.op === "read") return readEvents(source, request.ask);
    if (request.op === "verify") return verifyStep(source, request.ask);
    return source.close();
  };
  port.on("message", (requests: readonly ReaderRequest[]) => {
    for (const request of requests) {
      const { id } = request;
      try {
        port.postMessage([{ id, answer: answer(request) }] satisfies FromThread);
      } catch (error) {
        port.postMessage([{ id, error: toSoloError(error).toBody() }] satisfies FromThread);
      }
      if (request.op === "close") port.close();
    }
  });
  port.postMessage({ ready: { headId: 0, lastLogSeq: 0 } } satisfies FromThread);
}

if (parentPort !== null) main(parentPort);
