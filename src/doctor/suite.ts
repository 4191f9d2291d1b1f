/** Attacks one after the other on one kernel; each result is told as soon as it is known. */
import type { Attack } from "#doctor/attack.ts";
import { Ground, type AttackResult, type GroundOptions } from "#doctor/ground.ts";

export interface SuiteOptions extends GroundOptions {
  readonly attacks: readonly Attack[];
  readonly onResult: (result: AttackResult) => void | Promise<void>;
  /** Ends the suite after the attack that is under way. */
  readonly signal?: AbortSignal | undefined;
}

export async function runSuite(options: SuiteOptions): Promise<AttackResult[]> {
  const ground = await Ground.open(options);
  const results: AttackResult[] = [];
  for (const attack of options.attacks) {
    if (options.signal?.aborted) break;
    const result = await ground.attack(attack);
    results.push(result);
    await options.onResult(result);
  }
  return results;
}
