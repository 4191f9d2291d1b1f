/** How a stream's messages are written: server-sent events, or JSON lines (pure). */
import type { HttpBinding } from "#api/operation.ts";
import { toProblem } from "#api/problem.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import type { StreamFormat } from "#gateway/rest/stream.ts";

/** Line breaks would end a field of the frame. */
const oneLine = (value: unknown): string => String(value).replace(/[\r\n\0]+/g, " ");

/** Messages with `id` and `event_type` lend these to the frame, so that clients can resume. */
function eventFrame(message: unknown): string {
  const { id, event_type } = message as { id?: unknown; event_type?: unknown };
  const head =
    (id === undefined ? "" : `id: ${oneLine(id)}\n`) +
    (event_type === undefined ? "" : `event: ${oneLine(event_type)}\n`);
  return `${head}data: ${JSON.stringify(message)}\n\n`;
}

const serverSentEvents = (limits: RestLimits): StreamFormat => ({
  contentType: "text/event-stream; charset=utf-8",
  opening: `retry: ${limits.reconnectMs}\n\n`,
  encode: eventFrame,
  failure: (error) => `event: error\ndata: ${JSON.stringify(toProblem(error))}\n\n`,
  farewell: ": the kernel is stopping\n\n",
  heartbeat: ":\n\n",
});

/** A failure is a last line that holds the problem document: it alone has a `code` and a `status`. */
const jsonLines = (): StreamFormat => ({
  contentType: "application/x-ndjson; charset=utf-8",
  opening: "",
  encode: (message) => `${JSON.stringify(message)}\n`,
  failure: (error) => `${JSON.stringify(toProblem(error))}\n`,
  farewell: "",
  heartbeat: undefined,
});

export const formatOf = (binding: HttpBinding, limits: RestLimits): StreamFormat =>
  binding.stream === "ndjson" ? jsonLines() : serverSentEvents(limits);
