/** What happens in the tree, as events of the system. */
import type { EventLog } from "#events/event-log.ts";
import type { Logger } from "#base/log.ts";
import type { ExitReason } from "#supervisor/child.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";

const reasonText = (reason: ExitReason): string =>
  reason.kind === "crashed" ? `crashed: ${String(reason.error)}` : reason.kind;

export function auditTree(options: {
  events: EventLog;
  log: Logger;
}): (event: SupervisorEvent) => void {
  const { events, log } = options;
  return (event) => {
    const child = `${event.supervisor}/${event.id}`;
    if (event.kind === "child_exited" && !event.asked) {
      const reason = reasonText(event.reason);
      log.error("part of the kernel failed", { child, reason });
      events.emit({ type: "system_child_exited", payload: { child, reason } });
    } else if (event.kind === "child_start_failed") {
      log.error("part of the kernel did not start", { child, error: String(event.error) });
    } else if (event.kind === "child_started" && event.restarts > 0) {
      log.info("part of the kernel runs again", { child });
      events.emit({ type: "system_child_restarted", payload: { child, attempt: event.restarts } });
    } else if (event.kind === "gave_up") {
      log.error("too many restarts", { child, failures: event.failures });
    }
  };
}
