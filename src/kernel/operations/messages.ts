/** Calls and casts to services, and what they log. */
import type { OutputOf } from "#api/catalogue.ts";
import { parseBounded } from "#base/bounded-json.ts";
import { SoloError } from "#base/errors.ts";
import type { ServiceLogs } from "#events/service-logs.ts";
import { keyOf, type Handlers } from "#kernel/operations/handlers.ts";
import { messagePayload } from "#kernel/services/messages/payload.ts";
import type { Tenants } from "#kernel/tenants.ts";

const DEFAULT_LINES = 100;
const MAX_LINES = 10_000;

export interface MessageParts {
  readonly tenants: Tenants;
  readonly logs: ServiceLogs;
}

export const messageHandlers = ({
  tenants,
  logs,
}: MessageParts): Pick<Handlers, "Call" | "Cast" | "Logs"> => ({
  async Call(input, asked) {
    const service = tenants.get(keyOf(input, asked));
    const { signal, timeoutMs = Infinity } = asked.context;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const dispatch = service.send({
      kind: "call",
      handler: `calls.${input.name}`,
      payload: messagePayload(input.name, input.args ?? []),
      outcome: { reply: resolve, fail: reject },
      timeoutMs: Math.min(input.timeout_ms ?? Infinity, timeoutMs),
      key: input.key,
    });
    // The caller is gone, or what allowed the call is.
    const gone = () => dispatch.cancel(whyGone(signal));
    if (signal.aborted) gone();
    signal.addEventListener("abort", gone, { once: true });
    try {
      return { reply: replyFrom(await promise) };
    } finally {
      signal.removeEventListener("abort", gone);
    }
  },

  Cast(input, asked) {
    let refused: SoloError | undefined;
    tenants.get(keyOf(input, asked)).send({
      kind: "cast",
      handler: `casts.${input.name}`,
      payload: messagePayload(input.name, input.args ?? []),
      key: input.key,
      // A refusal comes within `send`; what becomes of an accepted cast has no reader.
      outcome: { reply: () => {}, fail: (error) => void (refused = error) },
    });
    if (refused !== undefined) throw refused;
    return { accepted: true };
  },

  async *Logs({ follow, since, limit, ...input }, asked) {
    const { key } = tenants.get(keyOf(input, asked));
    const page = await logs.read({
      key,
      since,
      limit: limit ?? (since === undefined ? DEFAULT_LINES : MAX_LINES),
      order: since === undefined ? "desc" : "asc",
    });
    if (since === undefined) page.reverse();
    let last = since ?? 0;
    for (const line of page) {
      last = line.seq;
      yield shown(line);
    }
    if (follow !== true) return;
    for await (const line of logs.follow({ key, since: last }, asked.context.signal))
      yield shown(line);
  },
});

/** Not every client says why it goes; a capability that ended does. */
const whyGone = ({ reason }: AbortSignal): SoloError =>
  reason instanceof SoloError ? reason : new SoloError("cancelled", "The caller is gone.");

type Shown = {
  seq: number;
  at: string;
  level: "debug" | "info" | "warn" | "error";
  text: string;
  instance_id: string;
};

const shown = (line: {
  seq: number;
  atMs: number;
  level: Shown["level"];
  text: string;
  instance: string;
}): Shown => ({
  seq: line.seq,
  at: new Date(line.atMs).toISOString(),
  level: line.level,
  text: line.text,
  instance_id: line.instance,
});

function replyFrom(json: string): OutputOf<"Call">["reply"] {
  try {
    return parseBounded(json) as OutputOf<"Call">["reply"];
  } catch (error) {
    if (error instanceof SoloError) throw error;
    // A real cell sends JSON; one that was taken over may not.
    throw new SoloError("service_error", "The service's reply is malformed.");
  }
}
