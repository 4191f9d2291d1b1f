/**
 * The messages in a stream's body.
 *
 * 1. An error that the kernel wrote into the stream is thrown with its code.
 * 2. A body that breaks, or is silent for longer than `idleMs`, throws `unavailable`.
 */
import { SoloError } from "#base/errors.ts";
import { LineSplitter } from "#client/lines.ts";
import { problemError } from "#client/problem.ts";
import { SseParser } from "#client/sse.ts";

export interface MessagesOptions {
  readonly body: ReadableStream<Uint8Array>;
  readonly format: "sse" | "ndjson";
  /** Longest silence; none unless given. */
  readonly idleMs?: number | undefined;
}

const broken = (why: string, cause?: unknown): SoloError =>
  new SoloError("unavailable", `The stream broke off: ${why}.`, { cause });

async function* linesOf({ body, idleMs }: MessagesOptions): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const splitter = new LineSplitter();
  let silent = false;
  const onSilence = () => {
    silent = true;
    void reader.cancel().catch(() => {});
  };
  const timer = idleMs === undefined ? undefined : setTimeout(onSilence, idleMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      timer?.refresh();
      yield* splitter.push(decoder.decode(value, { stream: true }));
    }
    if (silent) throw broken(`nothing came for ${idleMs} ms`);
    yield* splitter.end();
  } catch (thrown) {
    throw thrown instanceof SoloError ? thrown : broken("the connection was lost", thrown);
  } finally {
    clearTimeout(timer);
    await reader.cancel().catch(() => {});
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SoloError("internal", "The kernel sent a message that is not JSON.", { cause });
  }
}

/** As a line of its own, a problem is told from a message by its HTTP status. */
const isProblem = (message: unknown): boolean =>
  typeof message === "object" && message !== null && "code" in message && "status" in message;

/** A frame named `error` without an id is the kernel's own; an event always has an id. */
export async function* messagesOf(options: MessagesOptions): AsyncGenerator<unknown> {
  const parser = new SseParser();
  for await (const line of linesOf(options)) {
    if (options.format === "ndjson") {
      if (line.trim() === "") continue;
      const message = parse(line);
      if (isProblem(message)) throw problemError(line) ?? broken("the kernel reported an error");
      yield message;
      continue;
    }
    const frame = parser.push(line);
    if (frame === undefined) continue;
    if (frame.event === "error" && frame.id === undefined) {
      throw problemError(frame.data) ?? broken("the kernel reported an error");
    }
    yield parse(frame.data);
  }
}
