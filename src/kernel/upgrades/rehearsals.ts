/** Rehearsals with the state that a service has at present: dry runs, and self-tests before a change. */
import { SoloError } from "#base/errors.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { WAKE_MS, type Wish } from "#kernel/upgrades/change.ts";
import { rehearse, type Rehearsed } from "#kernel/upgrades/rehearsal.ts";
import { presentFor } from "#kernel/upgrades/swap.ts";

export class Rehearsals {
  readonly #options: { readonly powers: ServicePowers; readonly hostApi: HostApi };

  constructor(options: { readonly powers: ServicePowers; readonly hostApi: HostApi }) {
    this.#options = options;
  }

  /** A copy of `revision` takes the first replica's present state over; nothing of it stays. */
  async run(
    service: Service,
    revision: Revision,
    wish: { readonly shapes?: boolean; readonly selfTest: boolean },
  ): Promise<Rehearsed> {
    const [first] = service.replicas;
    const replica = first!;
    const letSleep = replica.keepAwake();
    try {
      await replica.awake(WAKE_MS);
      const { storable: _, ...handed } = await presentFor(replica, revision);
      const { codeChangeTimeoutMs: timeoutMs } = revision.spec.restartLimits;
      const adoption = { ...handed, ...wish, whole: true, timeoutMs };
      return await rehearse({ service, replica, revision, adoption, ...this.#options });
    } finally {
      letSleep();
    }
  }

  /** The selfTest of a successor's revision, if there is one or there has to be one. */
  async selfTest(service: Service, successor: Replica, { selfTest }: Wish): Promise<void> {
    const has = successor.instance?.started.traits?.includes("selfTest") === true;
    if (selfTest === true && !has) throw noSelfTest();
    if (!has || selfTest === false) return;
    await this.run(service, successor.revision, { selfTest: true });
  }
}

const noSelfTest = (): SoloError =>
  new SoloError("invalid_argument", "The new revision exports no selfTest.", {
    fields: [{ field: "self_test", message: "asks for a selfTest that is not there" }],
    hint: "Add selfTest(solo) to the service, or leave self_test out.",
  });
