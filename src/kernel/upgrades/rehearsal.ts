/**
 * A copy of a revision that takes a state over and is thrown away: for self-tests, dry runs
 * and downgrades.
 *
 * 1. Nothing that it does stays: it may read the service's kv, and reaches nothing else.
 */
import { newInstanceId } from "#base/ids.ts";
import { adoptionError } from "#kernel/deploys/start-error.ts";
import type { HostApi } from "#kernel/services/host/host-api.ts";
import { Instance } from "#kernel/services/instance/instance.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import { startMessage } from "#kernel/services/instance/start-message.ts";
import type { Adoption, StateShapes } from "#wire/messages.ts";

export interface RehearsalOptions {
  readonly service: Service;
  /** Whose state it is. */
  readonly replica: Replica;
  readonly revision: Revision;
  readonly adoption: Adoption;
  readonly powers: ServicePowers;
  readonly hostApi: HostApi;
}

export interface Rehearsed {
  /** What the revision made of the state, encoded. */
  readonly state: string;
  readonly shapes: StateShapes | undefined;
}

export async function rehearse(options: RehearsalOptions): Promise<Rehearsed> {
  const { revision, powers } = options;
  try {
    return await run(options);
  } catch (error) {
    throw await adoptionError({ error, revision, powers });
  }
}

async function run(options: RehearsalOptions): Promise<Rehearsed> {
  const { service, replica, revision, adoption, powers, hostApi } = options;
  const { cells, clock, logs } = powers;
  const { key } = service;
  const id = newInstanceId();
  const dedicated = revision.spec.isolation === "dedicated";
  const cell = await (dedicated ? cells.dedicated(key.tenant) : cells.shared(key.tenant));
  const start = startMessage({
    key,
    id,
    spec: revision.spec,
    modules: await revision.code.modules(),
    state: { from: "handover" },
    fastLane: false,
  });
  const nothing = () => {};
  const instance = await Instance.start(
    {
      id,
      cell,
      start: { ...start, durable: false, keepState: false },
      now: () => clock.now(),
      events: {
        request: (from, request, method, args) =>
          hostApi.handle({
            service,
            replica,
            instance: from,
            request,
            method,
            args,
            onlyReads: true,
          }),
        redact: replica.secrets.redact,
        log: (from, line) => logs.write({ key, instance: from.id, ...line }),
        state: async () => {},
        exceeded: nothing,
        room: nothing,
        settled: nothing,
        handBack: nothing,
      },
    },
    new AbortController().signal,
  );
  void instance.exited.then(() => cells.release(cell));
  try {
    const state = await instance.adopt(adoption);
    return { state, shapes: instance.shapes };
  } finally {
    instance.kill();
  }
}
