/**
 * When a capability is over, to the millisecond.
 *
 * 1. The listener is called once: in the turn in which the capability or one above it is revoked,
 *    and when it expires; at once when that was before.
 * 2. What is returned leaves no timer and no listener.
 */
import type { Clock } from "#base/clock.ts";
import type { Capabilities } from "#capability/capabilities.ts";
import type { Capability } from "#capability/capability.ts";

/** Expiry is looked at again after so long, whatever happened to the clocks. */
const LOOK_MS = 30_000;

export interface EndOptions {
  readonly capabilities: Capabilities;
  readonly capability: Capability;
  readonly clock: Clock;
}

export function onEndOf(
  { capabilities, capability, clock }: EndOptions,
  listener: () => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isDone = false;
  let forget = (): void => {};
  const stop = (): void => {
    isDone = true;
    clearTimeout(timer);
    forget();
  };
  const end = (): void => {
    if (isDone) return;
    stop();
    listener();
  };
  const look = (): void => {
    if (isDone) return;
    if (capabilities.isOver(capability)) return end();
    const left = capabilities.endsAtMs(capability) - clock.wallMs();
    if (left !== Infinity) timer = setTimeout(look, Math.min(Math.max(1, left), LOOK_MS));
  };
  forget = capabilities.onEnd(capability, end);
  look();
  return stop;
}
