/** What every operation does: the handlers of all nouns. */
import type { Assembly } from "#kernel/assembly.ts";
import { capabilityHandlers } from "#kernel/operations/capabilities.ts";
import { configHandlers } from "#kernel/operations/config.ts";
import { eventHandlers } from "#kernel/operations/events.ts";
import type { Handlers } from "#kernel/operations/handlers.ts";
import { kernelHandlers, type KernelParts } from "#kernel/operations/kernel.ts";
import { messageHandlers } from "#kernel/operations/messages.ts";
import { rolloutHandlers } from "#kernel/operations/rollouts.ts";
import { secretHandlers } from "#kernel/operations/secrets.ts";
import { serviceHandlers } from "#kernel/operations/services.ts";
import { stateHandlers } from "#kernel/operations/state.ts";
import { tenantHandlers } from "#kernel/operations/tenants.ts";
import { upgradeHandlers } from "#kernel/operations/upgrades.ts";

export const allHandlers = (parts: Assembly, kernel: KernelParts): Handlers => ({
  ...serviceHandlers(parts),
  ...upgradeHandlers(parts),
  ...rolloutHandlers(parts),
  ...secretHandlers(parts),
  ...messageHandlers(parts),
  ...stateHandlers(parts),
  ...eventHandlers(parts),
  ...capabilityHandlers(parts),
  ...tenantHandlers(parts),
  ...configHandlers(parts.settings),
  ...kernelHandlers(kernel),
});
