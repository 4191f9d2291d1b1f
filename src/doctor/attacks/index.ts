/** Every attack that Solo ships, family by family. */
import type { Attack } from "#doctor/attack.ts";
import { bridges } from "#doctor/attacks/bridge.ts";
import { escapes } from "#doctor/attacks/escapes.ts";
import { floods } from "#doctor/attacks/floods.ts";
import { lifecycles } from "#doctor/attacks/lifecycles.ts";
import { loops } from "#doctor/attacks/loops.ts";
import { memory } from "#doctor/attacks/memory.ts";
import { sources } from "#doctor/attacks/sources.ts";
import { states } from "#doctor/attacks/states.ts";
import { streams } from "#doctor/attacks/streams.ts";
import { values } from "#doctor/attacks/values.ts";

export const ATTACKS: readonly Attack[] = [
  ...loops,
  ...memory,
  ...floods,
  ...escapes,
  ...bridges,
  ...values,
  ...streams,
  ...sources,
  ...states,
  ...lifecycles,
];
