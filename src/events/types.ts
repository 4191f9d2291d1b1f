/**
 * Every type of event that Solo itself records (SPEC E2), with what it means. Services may
 * record their own under the prefix `service.`, so that theirs can never pass for Solo's.
 */

export const EVENT_TYPES = {
  // The kernel
  system_started: "The kernel is ready.",
  system_stopped: "The kernel stopped in an orderly way.",
  system_restored: "The services are back after the kernel's start; the payload counts them.",
  system_child_exited: "A part of the kernel failed; its supervisor decides what follows.",
  system_child_restarted: "A part of the kernel runs again.",
  runtime_pressure_high:
    "The kernel's own memory, loop delay, descriptors or disk passed a threshold.",
  config_changed: "A setting was changed at runtime.",
  tenant_created: "A tenant was made known by name.",
  tenant_deleted: "A tenant was forgotten, with its limits, capabilities and services.",
  // A service's life
  service_deployed:
    "A service was accepted, started and recorded: it will be brought back after any crash.",
  service_deployment_failed: "A deployment was refused or undone; the payload says why.",
  service_updated: "A running service has a new revision.",
  service_started: "An instance is up and takes messages.",
  service_draining: "An instance finishes what it has and takes nothing new.",
  service_stopped: "An instance ended as asked; the service stays deployed.",
  service_killed: "A service was removed on request.",
  service_crashed: "An instance failed; the payload holds the crash report.",
  service_restarted: "An instance was started again after a crash.",
  service_quarantined: "A service crashed too often and is left stopped.",
  service_hibernated: "An idle instance was evicted; its state is kept.",
  service_woken: "A hibernated instance is back.",
  state_recovered:
    "The newest stored state of a service was damaged; it runs with the one before it.",
  state_not_stored:
    "The newest state of a service could not be written, to a full disk for example; it is tried again.",
  state_stored_again: "The state that could not be written is on disk now.",
  // Limits
  resource_violation:
    "A service, or a tenant's services together, came near a limit or passed it; the payload says which, and what was done.",
  load_shed: "Work was refused because there was too much of it.",
  circuit_opened: "Calls to a failing service are refused for a while.",
  circuit_closed: "Calls to the service pass again.",
  // Authority
  capability_granted: "A capability was minted.",
  capability_attenuated: "A narrower capability was derived.",
  capability_revoked: "A capability and all derived from it ended.",
  capability_denied: "A request lacked a permission.",
  capability_verified: "A capability was checked and held.",
  // Swaps and rollouts
  hot_swap_started: "A new revision is being prepared beside the old one.",
  hot_swap_succeeded: "The new revision took over with its state.",
  hot_swap_rolled_back: "The old revision and its state are back.",
  rollout_started: "A new revision begins to receive traffic.",
  rollout_step: "A rollout is at another step or in another phase; the payload says where and why.",
  rollout_promoted: "The new revision receives all traffic.",
  rollout_rolled_back: "The old revision receives all traffic again.",
  // Secrets
  secret_stored: "A secret, or a new version of it, was stored.",
  secret_accessed: "A secret was read.",
  secret_access_denied: "A secret was asked for and not given.",
  secret_revoked: "A secret was removed.",
  master_key_rotated: "The vault has another master key; the one before opens nothing any more.",
  vault_accepted: "The owner took a vault that somebody had altered as it is.",
  // Discovery
  service_registered: "A service can be found under a name.",
  service_unregistered: "A name was withdrawn.",
  service_expired: "A registration was not renewed in time.",
} as const;

export type SystemEventType = keyof typeof EVENT_TYPES;
export type ServiceEventType = `service.${string}`;
export type EventType = SystemEventType | ServiceEventType;

/** `service.` and then letters, digits, `.`, `_` or `-`. */
const SERVICE_TYPE = /^service\.[A-Za-z0-9][A-Za-z0-9._-]{0,118}$/;

export const isEventType = (type: string): type is EventType =>
  Object.hasOwn(EVENT_TYPES, type) || SERVICE_TYPE.test(type);

/** What the payload of a type holds at least. A type that is not here holds any JSON object. */
export interface EventPayloads {
  system_started: { version: string; pid: number; started_in_ms: number };
  system_stopped: { reason: string; uptime_ms: number };
  system_child_exited: { child: string; reason: string };
  system_child_restarted: { child: string; attempt: number };
  runtime_pressure_high: { what: string; value: number; threshold: number };
  service_deployed: { revision: string; instance_id: string; started_in_ms: number };
  service_deployment_failed: { code: string; detail: string };
  service_updated: { revision: string; previous_revision: string };
  service_started: { instance_id: string; revision: string };
  service_stopped: { instance_id: string; reason: string };
  service_killed: { force: boolean };
  service_crashed: { instance_id: string; revision: string; reason: string; restarts: number };
  service_restarted: { instance_id: string; attempt: number; after_ms: number };
  service_quarantined: { restarts: number; within_ms: number };
  resource_violation: {
    what: string;
    level: "approach" | "exceeded";
    value: number;
    limit: number;
    action: string;
    /** How often the limit was passed since the last event of it; 0 for an approach. */
    count: number;
  };
  capability_denied: { permission: string; resource: string };
}

export type PayloadOf<T extends EventType> = T extends keyof EventPayloads
  ? EventPayloads[T] & object
  : object;
