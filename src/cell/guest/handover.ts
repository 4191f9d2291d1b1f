/**
 * How a revision takes over a state: migrated, checked and encoded, before it serves.
 *
 * 1. Code of the service sees a copy; what it returns is encoded and decoded again, so that
 *    what lives is what can be kept.
 */
import type { ServiceDefinition, Solo } from "../../sdk/index.ts";
import type { Adoption, StateShapes } from "../../wire/messages.ts";
import { shapeOf } from "./shape.ts";
import { decodeState, encodeState } from "./state.ts";

// Most often a forgotten `return`, and the old state would be lost with it.
const NOTHING = "returned nothing; return the new state, or null for none.";

export interface Adopted {
  readonly state: unknown;
  readonly shapes: StateShapes | undefined;
}

export async function takeOver(
  service: ServiceDefinition,
  { state: oldText, via, version, shapes }: Adoption,
): Promise<Adopted> {
  const old = decodeState(oldText);
  const before = shapes === true ? shapeOf(old) : undefined;
  const migrate = via === "as_it_is" ? undefined : service[via];
  const next = migrate === undefined ? old : await migrate.call(service, old, version);
  if (next === undefined && old !== undefined) throw new TypeError(`${via} ${NOTHING}`);
  // What downgrade makes is another version's state, which checks it itself.
  const isOwn = via !== "downgrade";
  if (isOwn && service.checkState !== undefined && (await service.checkState(next)) === false) {
    throw new TypeError("checkState refused the state.");
  }
  const state = decodeState(encodeState(next));
  return { state, shapes: before && { before, after: shapeOf(state) } };
}

export async function runSelfTest(service: ServiceDefinition, solo: Solo): Promise<void> {
  if ((await service.selfTest?.(solo)) === false) throw new TypeError("selfTest returned false.");
}
