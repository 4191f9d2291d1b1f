/**
 * Brings back every service that should run (K6).
 *
 * 1. A kill that the kernel's death cut off is finished.
 * 2. A service that cannot start is reported, and the rest still come back.
 * 3. Who slept sleeps on: nothing of it is started or compiled.
 * 4. A rollout or a probation goes on where it was, or is undone before anything of its
 *    service runs.
 * 5. Why a service did not come back is on disk, so that the next kernel knows as well.
 * 6. So is who is being started: a service that takes the kernel with it is held back.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError, toSoloError, type ErrorCode } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { Logger } from "#base/log.ts";
import type { BootAttempts } from "#deploy/boot-attempts.ts";
import type { Deployment, Deployments } from "#deploy/deployments.ts";
import type { Dormant, Dormants } from "#deploy/dormants.ts";
import { stateKeyText } from "#deploy/snapshots.ts";
import { sourceHash } from "#deploy/spec.ts";
import type { EventLog } from "#events/event-log.ts";
import { isFatal, nextTryAt, planBoot } from "#kernel/boot-plan.ts";
import type { Remover } from "#kernel/deploys/remover.ts";
import type { Restarter } from "#kernel/deploys/restarter.ts";
import type { Reviver } from "#kernel/deploys/reviver.ts";
import type { Faults } from "#kernel/faults.ts";
import type { Tenants } from "#kernel/tenants.ts";
import { unfinishedChanges, type Unfinished, type UnfinishedParts } from "#kernel/unfinished.ts";

const AT_ONCE = 16;
const MAX_DETAIL_CHARS = 2000;
/** A service that somebody else is at is tried again after so long. */
const BUSY_MS = 1000;

export interface BootLoaderOptions extends UnfinishedParts {
  readonly deployments: Deployments;
  readonly attempts: BootAttempts;
  readonly dormants: Dormants;
  readonly remover: Remover;
  readonly restarter: Restarter;
  readonly reviver: Reviver;
  readonly tenants: Tenants;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly log: Logger;
  readonly faults: Faults;
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
    const { attempts, deployments, dormants, reviver, remover, events, clock, log } = this.#options;
    const begun = clock.now();
    const startedAtMs = clock.wallMs();
    const [earlier, { deployments: found, gone, unreadable }, asleep] = await Promise.all([
      attempts.open(),
      deployments.all(),
      dormants.all(),
    ]);
    const deathsOf = ({ key }: Deployment): number => earlier.deaths.get(keyText(key)) ?? 0;
    const isFatalNow = (each: Deployment): boolean =>
      earlier.unfinished.has(keyText(each.key)) && isFatal(deathsOf(each));
    for (const key of gone) await remover.forget(key);
    const changes = await unfinishedChanges(this.#options, found);
    const all: Deployment[] = [];
    for (const read of found) {
      const each = isFatalNow(read) ? await this.#blame(read, deathsOf(read)) : read;
      const name = keyText(each.key);
      const stays = each.quarantined || each.trouble !== undefined;
      const change = stays ? changes.get(name) : undefined;
      const why = "The service did not run when the kernel ended.";
      if (change === undefined) all.push(each);
      else {
        changes.delete(name);
        all.push(await this.#undo(change, each, { asleep, why }));
      }
    }
    await this.#discardOrphans(all, asleep);
    const sleeps = ({ key, spec, quarantined }: Deployment) =>
      !quarantined &&
      Array.from({ length: spec.instances }, (_, slot) => slot).every((slot) =>
        asleep.has(stateKeyText({ ...key, slot })),
      );
    const isSuspect = (each: Deployment): boolean => deathsOf(each) > 0;
    const plan = planBoot(all, { nowMs: startedAtMs, sleeps, isSuspect });
    const missing: Missing[] = unreadable.map((service) => {
      log.error("deployment record unreadable", { service });
      return lost(service, "unreadable", "Its deployment record cannot be read.");
    });
    for (const deployment of plan.heldBack) {
      await reviver.keep(deployment);
      missing.push(this.#holdBack(deployment));
    }
    for (const name of earlier.deaths.keys()) {
      // Of those that are not there any more nothing is to be known.
      if (!all.some(({ key }) => keyText(key) === name)) attempts.ended(name);
    }
    const counts = { running: 0, asleep: 0 };
    const bringBack = async (next: Deployment): Promise<void> => {
      const revive = () => this.#revive(next, asleep, changes.get(keyText(next.key)));
      const runs = !next.quarantined && !sleeps(next);
      const failure = await (runs ? this.#attempt(next, revive) : revive());
      if (failure !== undefined) missing.push(failure);
      else if (next.quarantined) missing.push(left(next));
      else counts[sleeps(next) ? "asleep" : "running"] += 1;
    };
    const queue = [...plan.start];
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await bringBack(next);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    for (const next of plan.alone) await bringBack(next);
    await this.#settleAttempts();
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
    const { restarter, tenants, clock, log } = this.#options;
    for (const [name, { deployment, atMs }] of this.#heldBack) {
      if (clock.wallMs() < atMs) continue;
      this.#heldBack.delete(name);
      // Somebody has seen to it meanwhile.
      if (tenants.find(deployment.key)?.heldBack === undefined) continue;
      await this.#attempt(deployment, async () => {
        try {
          await restarter.restart(deployment.key);
          log.info("service is back", { service: name });
        } catch (error) {
          const { code } = toSoloError(error);
          // Somebody sees to it just now: what is on record of it may be another by then.
          if (code === "conflict")
            this.#heldBack.set(name, { deployment, atMs: clock.wallMs() + BUSY_MS });
          else if (code !== "service_not_found") await this.#failed(deployment, error);
        }
      });
      await this.#settleAttempts();
    }
  }

  /** Should the kernel die meanwhile, the next one knows of what. */
  async #attempt<T>({ key }: Deployment, start: () => Promise<T>): Promise<T> {
    const { attempts, faults, log } = this.#options;
    const service = keyText(key);
    await attempts.begin(service).catch((error: unknown) => {
      log.warn("attempt not recorded", { service, error: String(error) });
    });
    await faults("attempting", service);
    try {
      return await start();
    } finally {
      attempts.ended(service);
    }
  }

  async #settleAttempts(): Promise<void> {
    const { attempts, log } = this.#options;
    await attempts.settle().catch((error: unknown) => {
      log.warn("end of attempts not recorded", { error: String(error) });
    });
  }

  /** Kernels died while they were starting it. */
  async #blame(deployment: Deployment, deaths: number): Promise<Deployment> {
    const message = `The kernel ended ${deaths} times in a row while it was starting this service.`;
    return this.#troubled(deployment, new SoloError("startup_failed", message));
  }

  async #revive(
    deployment: Deployment,
    asleep: Map<string, Dormant>,
    change: Unfinished | undefined,
  ): Promise<Missing | undefined> {
    try {
      if (change !== undefined) return await this.#reviveWith(change, deployment, asleep);
      await this.#options.reviver.revive(deployment, asleep);
      await this.#recovered(deployment);
      return undefined;
    } catch (error) {
      return this.#failed(deployment, error);
    }
  }

  async #reviveWith(
    change: Unfinished,
    deployment: Deployment,
    asleep: Map<string, Dormant>,
  ): Promise<Missing | undefined> {
    const { reviver, log } = this.#options;
    try {
      await change.resume(deployment, asleep);
      return undefined;
    } catch (error) {
      const { code, message } = toSoloError(error);
      const service = keyText(deployment.key);
      log.warn(`${change.what} undone at the start`, { service, code, detail: message });
      const why = `After the kernel's restart: ${message}`.slice(0, MAX_DETAIL_CHARS);
      const undone = await this.#undo(change, deployment, { asleep, why }).catch(
        async (cause: unknown) => {
          // It keeps its name all the same; the next start of the kernel tries again.
          await reviver.keep(deployment);
          throw cause;
        },
      );
      return this.#revive(undone, asleep, undefined);
    }
  }

  /** Slots that had changed begin with what they had before; who of them slept does not. */
  async #undo(
    change: Unfinished,
    deployment: Deployment,
    { asleep, why }: { asleep: Map<string, Dormant>; why: string },
  ): Promise<Deployment> {
    const undone = await change.undo(deployment, why);
    for (const slot of change.slots) asleep.delete(stateKeyText({ ...deployment.key, slot }));
    return undone;
  }

  /** What had kept it from coming back is over. */
  async #recovered({ trouble, ...deployment }: Deployment): Promise<void> {
    if (trouble === undefined) return;
    const { deployments, log } = this.#options;
    await deployments.put(deployment).catch((error: unknown) => {
      log.warn("end of trouble not recorded", { error: String(error) });
    });
  }

  async #failed(deployment: Deployment, error: unknown): Promise<Missing> {
    const marked = await this.#troubled(deployment, error);
    return { ...this.#holdBack(marked), why: "failed" };
  }

  /** Says why it does not come back, and keeps it. */
  async #troubled(deployment: Deployment, error: unknown): Promise<Deployment> {
    const { deployments, events, clock, log } = this.#options;
    const known = toSoloError(error);
    const { code, message } = known;
    const { key } = deployment;
    const service = keyText(key);
    const unforeseen = code === "internal" && { error: String(known.options.cause) };
    log.error("service not brought back", { service, code, detail: message, ...unforeseen });
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
    return marked;
  }

  #holdBack(deployment: Deployment): Missing {
    const service = keyText(deployment.key);
    const { code, detail, failures } = deployment.trouble!;
    const atMs = nextTryAt(deployment.trouble!);
    if (atMs !== undefined) this.#heldBack.set(service, { deployment, atMs });
    this.#options.tenants
      .find(deployment.key)
      ?.holdBack({ code, detail, failures, nextTryAtMs: atMs });
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
