/** One deploy, update, restart or kill of a service at a time; a second one is refused. */
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";

export class ServiceLocks {
  readonly #held = new Set<string>();

  isHeld(key: ServiceKey): boolean {
    return this.#held.has(keyText(key));
  }

  async exclusively<T>(key: ServiceKey, act: () => Promise<T>): Promise<T> {
    const name = keyText(key);
    if (this.#held.has(name)) {
      throw new SoloError("conflict", `Another deploy, restart or kill of ${name} is under way.`, {
        hint: "Wait for it to end.",
        retryAfterMs: 200,
      });
    }
    this.#held.add(name);
    try {
      return await act();
    } finally {
      this.#held.delete(name);
    }
  }
}
