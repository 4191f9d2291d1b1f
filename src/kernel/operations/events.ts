/** The event log, as the catalogue shows it. */
import type { OutputOf } from "#api/catalogue.ts";
import type { Event } from "#events/event.ts";
import type { EventLog } from "#events/event-log.ts";
import type { Store } from "#kernel/store.ts";
import { type Asked, type Handlers, seesEveryTenant } from "#kernel/operations/handlers.ts";

const DEFAULT_PAGE = 100;

export interface EventParts {
  readonly events: EventLog;
  readonly store: Store;
}

interface Filter {
  readonly tenant_id?: string | undefined;
  readonly service_id?: string | undefined;
  readonly event_type?: string | undefined;
  readonly since_id?: number | undefined;
}

function filterOf({ tenant_id, service_id, event_type, since_id }: Filter, asked: Asked) {
  return {
    ...(!seesEveryTenant(tenant_id, asked) && { tenantId: asked.tenant }),
    serviceId: service_id,
    eventTypes: event_type?.split(",").map((type) => type.trim()),
    sinceId: since_id ?? 0,
  };
}

export const eventHandlers = ({
  events,
  store,
}: EventParts): Pick<Handlers, "ListEvents" | "Watch" | "VerifyEvents"> => ({
  async ListEvents(input, asked) {
    const page = await events.read({
      ...filterOf(input, asked),
      ...(input.from !== undefined && { fromWallMs: Date.parse(input.from) }),
      ...(input.to !== undefined && { toWallMs: Date.parse(input.to) }),
      limit: input.limit ?? DEFAULT_PAGE,
      order: input.newest_first === true ? "desc" : "asc",
    });
    return { events: page.map(shown), last_id: events.head() };
  },

  async *Watch(input, asked) {
    for await (const event of events.tail(filterOf(input, asked), asked.context.signal))
      yield shown(event);
  },

  async VerifyEvents({ from_id }) {
    const result = await store.current.events.verify({ fromId: from_id });
    if (result.ok) return { ok: true, checked: result.checked };
    return {
      ok: false,
      checked: result.checked,
      first_broken: result.firstBroken,
      why: result.why,
    };
  },
});

/** Events are JSON by construction; the log's type says only "object". */
const shown = (event: Event): OutputOf<"Watch"> => event as OutputOf<"Watch">;
