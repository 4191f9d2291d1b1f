/** Which capabilities are over and may be forgotten, and the loop that forgets them. */
import { setTimeout as pause } from "node:timers/promises";
import type { Capability, Now } from "#capability/capability.ts";
import type { Capabilities } from "#capability/capabilities.ts";
import { EXPIRED_KEPT_MS, REVOKED_KEPT_MS, SWEEP_MS } from "#capability/limits.ts";

/** The topmost of what has been over for long enough: all below them is over as well. */
export function forgettable(owner: Capability, now: Now): Capability[] {
  const found: Capability[] = [];
  const look = (capability: Capability): void => {
    if (isOver(capability, now)) found.push(capability);
    else capability.children.forEach(look);
  };
  owner.children.forEach(look);
  return found;
}

function isOver({ record, expiresAtMs }: Capability, { wallMs }: Now): boolean {
  if (wallMs >= expiresAtMs + EXPIRED_KEPT_MS) return true;
  return record.revokedAtMs !== null && wallMs >= record.revokedAtMs + REVOKED_KEPT_MS;
}

/** Runs until the signal fires; a sweep that failed is told and tried again. */
export async function sweepForever(
  capabilities: Capabilities,
  signal: AbortSignal,
  failed: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await pause(SWEEP_MS, undefined, { signal }).catch(() => {});
    if (!signal.aborted) await capabilities.sweep().catch(failed);
  }
}
