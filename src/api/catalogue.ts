/** Every operation there is, by the name of its rpc. Gateways, CLI and client read this list. */
import * as capabilities from "#api/capabilities.ts";
import * as config from "#api/config.ts";
import * as events from "#api/events.ts";
import * as kernel from "#api/kernel.ts";
import * as messages from "#api/messages.ts";
import type { Input, Operation, Output, RawInput } from "#api/operation.ts";
import * as rollouts from "#api/rollouts.ts";
import * as secrets from "#api/secrets.ts";
import * as services from "#api/services.ts";
import * as state from "#api/state.ts";
import * as tenants from "#api/tenants.ts";
import * as upgrades from "#api/upgrades.ts";

export const catalogue = {
  Deploy: services.deploy,
  Update: services.update,
  Kill: services.kill,
  Restart: services.restart,
  Status: services.statusOf,
  List: services.list,
  Call: messages.call,
  Cast: messages.cast,
  Validate: services.validate,
  ListRevisions: upgrades.listRevisions,
  GetRevision: upgrades.getRevision,
  DiffRevisions: upgrades.diffRevisions,
  Rollback: upgrades.rollback,
  GetRollout: rollouts.getRollout,
  PauseRollout: rollouts.pauseRollout,
  ResumeRollout: rollouts.resumeRollout,
  PromoteRollout: rollouts.promoteRollout,
  AbortRollout: rollouts.abortRollout,
  Logs: messages.logs,
  GetState: state.getState,
  ExportState: state.exportState,
  ImportState: state.importState,
  ResetState: state.resetState,
  StoreSecret: secrets.store,
  RotateSecret: secrets.rotate,
  RetrieveSecret: secrets.retrieve,
  RetrieveSecretWithKey: secrets.retrieveWithKey,
  ListSecrets: secrets.list,
  RevokeSecret: secrets.revoke,
  VaultStatus: secrets.vaultStatus,
  RotateMasterKey: secrets.rotateMasterKey,
  ResumeRotation: secrets.resumeRotation,
  AcceptVault: secrets.acceptVault,
  ListEvents: events.listEvents,
  Watch: events.watch,
  VerifyEvents: events.verifyEvents,
  GrantCapability: capabilities.grant,
  AttenuateCapability: capabilities.attenuate,
  DelegateCapability: capabilities.delegate,
  RevokeCapability: capabilities.revoke,
  ListCapabilities: capabilities.listCapabilities,
  InspectCapability: capabilities.inspect,
  VerifyCapability: capabilities.verify,
  CreateTenant: tenants.createTenant,
  ListTenants: tenants.listTenants,
  GetTenant: tenants.getTenant,
  SetTenantLimits: tenants.setTenantLimits,
  DeleteTenant: tenants.deleteTenant,
  GetConfig: config.getConfig,
  SetConfig: config.setConfig,
  Health: kernel.health,
  Tree: kernel.tree,
  BootReport: kernel.bootReport,
  Shutdown: kernel.shutdown,
} as const satisfies Record<string, Operation>;

export type Catalogue = typeof catalogue;
export type OperationName = keyof Catalogue;
export type InputOf<N extends OperationName> = Input<Catalogue[N]>;
export type RawInputOf<N extends OperationName> = RawInput<Catalogue[N]>;
export type OutputOf<N extends OperationName> = Output<Catalogue[N]>;
