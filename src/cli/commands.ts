/** Every command, in the order of the help. To add one, write its file and list it here. */
import type { CommandSpec } from "#cli/command-spec.ts";
import { call, cast } from "#cli/commands/call.ts";
import { config } from "#cli/commands/config.ts";
import { deploy, validate } from "#cli/commands/deploy.ts";
import { capabilities } from "#cli/commands/cap.ts";
import { certs } from "#cli/commands/certs.ts";
import { derived } from "#cli/commands/derived.ts";
import { doctor } from "#cli/commands/doctor.ts";
import { events } from "#cli/commands/events.ts";
import { configCheck, token } from "#cli/commands/local.ts";
import { logs } from "#cli/commands/logs.ts";
import { mcp } from "#cli/commands/mcp.ts";
import { rollout } from "#cli/commands/rollout.ts";
import { getSecret, revokeSecret, rotateSecret, setSecret } from "#cli/commands/secrets.ts";
import { exportState, getState, importState } from "#cli/commands/state.ts";
import { start } from "#cli/commands/start.ts";
import { tenants } from "#cli/commands/tenants.ts";
import { diff, rollback, update } from "#cli/commands/upgrades.ts";

export const commands: readonly CommandSpec[] = [
  start,
  derived("Health", "Kernel:", ["solo health"]),
  derived("Tree", "Kernel:", ["solo tree"]),
  derived("BootReport", "Kernel:", ["solo boot-report"]),
  derived("Shutdown", "Kernel:", ["solo shutdown --drain-ms 5000"]),
  mcp,

  ...config,

  deploy,
  update,
  validate,
  derived("List", "Services:", ["solo list", "solo list --tenant acme --json"]),
  derived("Status", "Services:", ["solo status counter"]),
  call,
  cast,
  logs,
  derived("ListRevisions", "Services:", ["solo revisions counter"]),
  derived("GetRevision", "Services:", ["solo revision counter r_0123456789abcdef --json"]),
  diff,
  rollback,
  ...rollout,
  getState,
  exportState,
  importState,
  derived("ResetState", "Services:", ["solo state reset counter"]),
  derived("Restart", "Services:", ["solo restart counter"]),
  derived("Kill", "Services:", ["solo kill counter", "solo kill counter --force"]),

  ...capabilities,

  setSecret,
  getSecret,
  derived("ListSecrets", "Secrets:", ["solo secrets list"]),
  rotateSecret,
  revokeSecret,
  derived("VaultStatus", "Secrets:", ["solo secrets status"]),
  derived("RotateMasterKey", "Secrets:", ["solo secrets rotate-master-key"]),
  derived("ResumeRotation", "Secrets:", ["solo secrets resume-rotation"]),
  derived("AcceptVault", "Secrets:", ["solo secrets accept"]),

  ...tenants,

  events,
  derived("VerifyEvents", "Events:", ["solo verify"]),

  token,
  configCheck,
  ...certs,
  doctor,
];

/** What the first words of two-word commands stand for. */
export const parents: Readonly<Record<string, string>> = {
  cap: "Capabilities: grant, attenuate, delegate, revoke, list, inspect, verify.",
  certs: "Certificates for TLS: init, issue, renew, revoke, list.",
  state: "What a service keeps: get, export, import, reset.",
  rollout: "The rollout of a service: status, pause, resume, promote, abort.",
  secrets: "Secrets of the tenant: set, get, list, rotate, revoke; and the vault they are in.",
  config: "The configuration: check, get, set, unset.",
  tenants: "Tenants and their limits: create, list, show, limits, delete.",
};
