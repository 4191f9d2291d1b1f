/**
 * Brings back every service that should run (K6).
 *
 * 1. A kill that the kernel's death cut off is finished.
 * 2. A service that cannot start is reported, and the rest still come back.
 * 3. Who slept sleeps on: nothing of it is started or compiled.
 * 4. A rollout goes on where it was, or is undone before anything of its service runs.
 * 5. Why a service did not come back is on disk, so that the next kernel knows as well.
 */
import type { Clock } from "#base/clock.ts";
import { toSoloError, type ErrorCode } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { Deployment, Deployments } from "#deploy/deployments.ts";
import type { Dormant, Dormants } from "#deploy/dormants.ts";
import type { RolloutRecord } from "#deploy/rollouts.ts";
import { stateKeyText } from "#deploy/snapshots.ts";
import { sourceHash } from "#deploy/spec.ts";
import type { EventLog } from "#events/event-log.ts";
import { nextTryAt, planBoot } from "#kernel/boot-plan.ts";
import type { Deployer } from "#kernel/deployer.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { RolloutDriver } from "#kernel/upgrades/rollout-driver.ts";

const AT_ONCE = 16;
const MAX_DETAIL_CHARS = 2000;

export interface BootLoaderOptions {
  readonly deployments: Deployments;
  readonly dormants: Dormants;
  readonly deployer: Deployer;
  readonly tenants: Tenants;
  readonly rollouts: Pick<RolloutDriver, "underWay" | "resume" | "undo">;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `failed`: tried in vain. `held_back`: failed before, tried again later. `quarantined`: left
 *  alone, as before. `unreadable`: its record is damaged. */
export type MissingWhy = "failed" | "held_back" | "quarantined" | "unreadable";

export interface Missing {
  /** `tenant/service`. */
  readonly service: string;
  readonly why: MissingWhy;
  readonly code: ErrorCode | undefined;
  readonly detail: string;
  /** Wall clock. */
  readonly nextTryAtMs: number | undefined;
}

export interface BootReport {
  readonly startedAtMs: number;
  readonly tookMs: number;
  readonly running: number;
  readonly asleep: number;
  readonly missing: readonly Missing[];
}

export class BootLoader {
  readonly #options: BootLoaderOptions;
  #report: BootReport | undefined;
  /** Those that are tried again, with the time of the next try. */
  readonly #heldBack = new Map<string, { deployment: Deployment; atMs: number }>();

  constructor(options: BootLoaderOptions) {
    this.#options = options;
  }

  /** Of this kernel's start; undefined before its end. */
  get report(): BootReport | undefined {
    return this.#report;
  }

  async boot(): Promise<BootReport> {
    const { deployments, dormants, deployer, rollouts, events, clock, log } = this.#options;
    const begun = clock.now();
    const startedAtMs = clock.wallMs();
    const [{ deployments: found, gone, unreadable }, asleep, rolling] = await Promise.all([
      deployments.all(),
      dormants.all(),
      rollouts.underWay(),
    ]);
    for (const key of gone) await deployer.forget(key);
    const all: Deployment[] = [];
    for (const each of found) {
      const stays = each.quarantined || each.trouble !== undefined;
      const record = stays ? rolling.get(keyText(each.key)) : undefined;
      const why = "The service did not run when the kernel ended.";
      if (record === undefined) all.push(each);
      else {
        rolling.delete(keyText(each.key));
        all.push(await this.#undo(record, each, { asleep, why }));
      }
    }
    await this.#discardOrphans(all, asleep);
    const sleeps = ({ key, spec, quarantined }: Deployment) =>
      !quarantined &&
      Array.from({ length: spec.instances }, (_, slot) => slot).every((slot) =>
        asleep.has(stateKeyText({ ...key, slot })),
      );
    const plan = planBoot(all, { nowMs: startedAtMs, sleeps });
    const missing: Missing[] = unreadable.map((service) => {
      log.error("deployment record unreadable", { service });
      return lost(service, "unreadable", "Its deployment record cannot be read.");
    });
    for (const deployment of plan.heldBack) {
      await deployer.keep(deployment);
      missing.push(this.#holdBack(deployment));
    }
    const counts = { running: 0, asleep: 0 };
    const queue = [...plan.start];
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const failure = await this.#revive(next, asleep, rolling.get(keyText(next.key)));
        if (failure !== undefined) missing.push(failure);
        else if (next.quarantined) missing.push(left(next));
        else counts[sleeps(next) ? "asleep" : "running"] += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const tookMs = Math.round(clock.now() - begun);
    this.#report = { startedAtMs, tookMs, ...counts, missing };
    events.emit({
      type: "system_restored",
      payload: { ...counts, missing: missing.length, took_ms: tookMs },
    });
    return this.#report;
  }

  /** Tries those whose time has come once more. */
  async retry(): Promise<void> {
    const { deployer, tenants, clock, log } = this.#options;
    for (const [name, { deployment, atMs }] of this.#heldBack) {
      if (clock.wallMs() < atMs) continue;
      this.#heldBack.delete(name);
      // Somebody has seen to it meanwhile.
      if (tenants.find(deployment.key)?.state !== "quarantined") continue;
      try {
        await deployer.restart(deployment.key);
        log.info("service is back", { service: name });
      } catch (error) {
        if (toSoloError(error).code !== "service_not_found") await this.#failed(deployment, error);
      }
    }
  }

  async #revive(
    deployment: Deployment,
    asleep: Map<string, Dormant>,
    rolling: RolloutRecord | undefined,
  ): Promise<Missing | undefined> {
    try {
      if (rolling !== undefined) return await this.#reviveRolling(deployment, asleep, rolling);
      await this.#options.deployer.revive(deployment, asleep);
      return undefined;
    } catch (error) {
      return this.#failed(deployment, error);
    }
  }

  async #reviveRolling(
    deployment: Deployment,
    asleep: Map<string, Dormant>,
    rolling: RolloutRecord,
  ): Promise<Missing | undefined> {
    const { deployer, rollouts, log } = this.#options;
    try {
      await rollouts.resume(rolling, () => deployer.revive(deployment, asleep, rolling));
      return undefined;
    } catch (error) {
      const { code, message } = toSoloError(error);
      const service = keyText(deployment.key);
      log.warn("rollout undone at the start", { service, code, detail: message });
      const why = `After the kernel's restart: ${message}`.slice(0, MAX_DETAIL_CHARS);
      const undone = await this.#undo(rolling, deployment, { asleep, why }).catch(
        async (cause: unknown) => {
          // It keeps its name all the same; the next start of the kernel tries again.
          await deployer.keep(deployment);
          throw cause;
        },
      );
      return this.#revive(undone, asleep, undefined);
    }
  }

  /** Slots that had moved begin with what they had before; who of them slept does not. */
  async #undo(
    record: RolloutRecord,
    deployment: Deployment,
    { asleep, why }: { asleep: Map<string, Dormant>; why: string },
  ): Promise<Deployment> {
    const undone = await this.#options.rollouts.undo(record, deployment, why);
    for (const slot of record.rollout.slots) asleep.delete(stateKeyText({ ...record.key, slot }));
    return undone;
  }

  async #failed(deployment: Deployment, error: unknown): Promise<Missing> {
    const { deployments, events, clock, log } = this.#options;
    const { code, message } = toSoloError(error);
    const { key } = deployment;
    const service = keyText(key);
    log.error("service not brought back", { service, code, detail: message });
    const detail = `After the kernel's restart: ${message}`.slice(0, MAX_DETAIL_CHARS);
    events.emit({
      type: "service_deployment_failed",
      tenantId: key.tenant,
      subject: key.service,
      payload: { code, detail },
    });
    const trouble = {
      failures: (deployment.trouble?.failures ?? 0) + 1,
      lastAtMs: clock.wallMs(),
      code,
      detail: message.slice(0, MAX_DETAIL_CHARS),
    };
    const marked = { ...deployment, trouble };
    await deployments.put(marked).catch((cause: unknown) => {
      log.warn("trouble not recorded", { service, error: String(cause) });
    });
    return { ...this.#holdBack(marked), why: "failed" };
  }

  #holdBack(deployment: Deployment): Missing {
    const service = keyText(deployment.key);
    const { code, detail } = deployment.trouble!;
    const atMs = nextTryAt(deployment.trouble!);
    if (atMs !== undefined) this.#heldBack.set(service, { deployment, atMs });
    return { service, why: "held_back", code, detail, nextTryAtMs: atMs };
  }

  /** Records of sleep that belong to no deployment, or to one that does not start. */
  async #discardOrphans(all: readonly Deployment[], asleep: Map<string, Dormant>): Promise<void> {
    const owners = new Map(all.map((each) => [keyText(each.key), each]));
    const orphans = [...asleep].flatMap(([name, dormant]) => {
      const [owned = "", slot = "0"] = name.split("#");
      const owner = owners.get(owned);
      if (owner === undefined || owner.quarantined) return [name];
      const goesOn =
        Number(slot) < owner.spec.instances && sourceHash(owner.spec) === dormant.sourceHash;
      return goesOn ? [] : [name];
    });
    for (const name of orphans) asleep.delete(name);
    if (orphans.length > 0) await this.#options.dormants.discard(orphans);
  }
}

const lost = (service: string, why: MissingWhy, detail: string): Missing => ({
  service,
  why,
  code: undefined,
  detail,
  nextTryAtMs: undefined,
});

const left = ({ key }: { readonly key: ServiceKey }): Missing =>
  lost(keyText(key), "quarantined", "It had crashed too often and was left alone.");
