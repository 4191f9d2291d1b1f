/** The typed client: one method per operation of the catalogue, over REST, SSE and JSON lines. */
import type { InputOf, OperationName, OutputOf, RawInputOf } from "#api/catalogue.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import { follow } from "#client/follow.ts";
import { STREAM_IDLE_MS } from "#client/limits.ts";
import { messagesOf } from "#client/messages.ts";
import { type IsStream, type MethodName, methodName, operations } from "#client/operations.ts";
import { type RequestInput, deadlineMs, wireRequest } from "#client/request.ts";
import { type Transport, type TransportOptions, openTransport } from "#client/transport.ts";

/** Where the kernel is, whom to speak for, and how long to wait. */
export interface ClientOptions extends TransportOptions {
  /** How long each request may take; 60 s, or what its input asks of the kernel, unless given. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Of one request. */
export interface RequestOptions {
  /** Gives it up: a request throws `cancelled`, a stream ends. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for this request; of a stream, until it begins. */
  readonly timeoutMs?: number;
}

type Answer<N extends OperationName> =
  IsStream<N> extends true ? AsyncIterable<OutputOf<N>> : Promise<OutputOf<N>>;

/** The input may be left out when nothing in it is required. */
type MethodParameters<N extends OperationName> =
  {} extends RawInputOf<N>
    ? [input?: RawInputOf<N>, options?: RequestOptions]
    : [input: RawInputOf<N>, options?: RequestOptions];

/** One method per operation, such as `client.deploy(input)`; streams are async iterables. Inputs and
 *  outputs are those of docs/api.md. What fails is thrown as a SoloError with one of its codes. */
export type Client = {
  readonly [N in OperationName as MethodName<N>]: (...given: MethodParameters<N>) => Answer<N>;
};

/** How a broken stream goes on: which field of a message is its position, which input continues. */
interface Resume {
  readonly position: string;
  readonly continues: string;
  readonly applies: (input: RequestInput) => boolean;
}

const RESUME: Partial<Record<OperationName, Resume>> = {
  Watch: { position: "id", continues: "since_id", applies: () => true },
  Logs: { position: "seq", continues: "since", applies: (input) => input["follow"] === true },
};

/** Connects to nothing yet: each request does, and streams of events go on after a break. */
export function createClient(options: ClientOptions): Client {
  const transport = openTransport(options);
  const { clock = systemClock, random = Math.random, timeoutMs } = options;

  const ask = (name: OperationName, input: RequestInput, given: RequestOptions) =>
    transport.ask(wireRequest(operations[name], input), {
      ms: deadlineMs(input, given.timeoutMs ?? timeoutMs),
      signal: given.signal,
    });

  const opener = (name: OperationName, input: RequestInput, given: RequestOptions) =>
    openStream({ transport, name, input, ms: deadlineMs(input, given.timeoutMs ?? timeoutMs) });

  async function* stream(name: OperationName, input: RequestInput, given: RequestOptions) {
    const resume = RESUME[name];
    const resumes = resume?.applies(input) ? resume : undefined;
    const { signal } = given;
    yield* follow<unknown>({
      open: opener(name, input, given),
      cursorOf: resumes && ((message) => Number(Reflect.get(Object(message), resumes.position))),
      // Watching "from now" needs a now that survives a break before the first event.
      after: name === "Watch" ? await startOfWatch(input, given) : undefined,
      signal,
      clock,
      random,
    });
  }

  async function startOfWatch(input: InputOf<"Watch">, given: RequestOptions): Promise<number> {
    if (input.since_id !== undefined) return input.since_id;
    const { tenant_id } = input;
    const head = await ask("ListEvents", { tenant_id, limit: 1 }, given);
    return Number(Reflect.get(Object(head), "last_id"));
  }

  const methods = Object.entries(operations).map(([key, row]) => {
    const name = key as OperationName;
    const send = row.streaming ? stream : ask;
    return [
      methodName(name),
      (input: RequestInput = {}, given: RequestOptions = {}) => send(name, input, given),
    ] as const;
  });
  // The rows come from the same catalogue as the types.
  return Object.freeze(Object.fromEntries(methods)) as unknown as Client;
}

interface StreamRequest {
  readonly transport: Transport;
  readonly name: OperationName;
  readonly input: RequestInput;
  readonly ms: number;
}

function openStream({ transport, name, input, ms }: StreamRequest) {
  const row = operations[name];
  const format = row.http.stream ?? "ndjson";
  return async (after: number | undefined, signal: AbortSignal) => {
    const continued = after === undefined ? input : resumed(name, input, after);
    const body = await transport.open(wireRequest(row, continued), {
      ms,
      signal,
      headers: {
        accept: format === "sse" ? "text/event-stream" : "application/x-ndjson",
        ...(format === "sse" && after !== undefined && { "last-event-id": String(after) }),
      },
    });
    return messagesOf({ body, format, idleMs: format === "sse" ? STREAM_IDLE_MS : undefined });
  };
}

/** A `limit` counts back from now and would skip what came since; the position replaces it. */
function resumed(name: OperationName, input: RequestInput, after: number): RequestInput {
  const resume = RESUME[name];
  if (resume === undefined) return input;
  return { ...input, limit: undefined, [resume.continues]: after };
}
