/**
 * The life of a replica: its instance under a supervisor of its own.
 *
 * 1. A replica is loaded beside the one that serves, serves, or is replaced. Only while it
 *    serves is anything of it told.
 * 2. Whoever waits hears of it when no instance will come: after an end that stays, or after
 *    too many crashes.
 */
import { within } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import { keyText, type ServiceKey } from "#base/ids.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Inbox } from "#kernel/services/messages/inbox.ts";
import type { Infos } from "#kernel/services/messages/infos.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { Launcher } from "#kernel/services/replica/launcher.ts";
import type { Lifecycle } from "#kernel/services/replica/lifecycle.ts";
import { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { ReplicaRecord } from "#kernel/services/replica/record.ts";
import { notUp, replaced } from "#kernel/services/messages/refusals.ts";
import { Runner, type RunnerOptions } from "#kernel/services/replica/runner.ts";
import type { Sleep } from "#kernel/services/state/sleep.ts";
import type { Vitals } from "#kernel/services/replica/vitals.ts";
import { isOrderly, type ChildSpec, type ExitReason } from "#supervisor/child.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import { Supervisor } from "#supervisor/supervisor.ts";

const BACKOFF = { baseMs: 50, factor: 2, maxMs: 5000 };
const RETIRE_MS = 1000;
/** Far beyond what a swap takes. */
const MAX_SUSPENSION_MS = 300_000;
const EMPTY_POLL_MS = 5;

export interface LifeOptions {
  readonly key: ServiceKey;
  readonly spec: ServiceSpec;
  readonly powers: Pick<ServicePowers, "clock" | "log" | "wakes">;
  readonly limits: ServiceBounds["limits"];
  readonly lifecycle: Lifecycle;
  readonly launcher: Launcher;
  readonly inbox: Inbox;
  /** What it has asked to be told ends with the instance. */
  readonly infos: Infos;
  readonly sleep: Sleep;
  readonly record: ReplicaRecord;
  readonly vitals: Vitals;
  /** It is loaded beside a replica that serves. */
  readonly beside: boolean;
  readonly crashed: () => void;
  readonly quarantined: () => void;
}

export class Life {
  readonly #options: LifeOptions;
  #standing: "loaded" | "serving" | "replaced";
  #supervisor: Supervisor | undefined;
  #runner: Runner | undefined;
  #instance: Instance | undefined;
  /** Its supervisor gave up before it served. */
  #gaveUp: SupervisorEvent | undefined;
  /** No instance is started before this is settled. */
  #suspension: PromiseWithResolvers<void> | undefined;
  /** A replaced instance has so long for what it has in hand. */
  #lingerMs = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#standing = options.beside ? "loaded" : "serving";
  }

  get instance(): Instance | undefined {
    return this.#instance;
  }

  get standing(): "loaded" | "serving" | "replaced" {
    return this.#standing;
  }

  /** Starts the supervisor of the instance; rejects when the first start fails. */
  async start(signal?: AbortSignal): Promise<Supervisor> {
    const { key, powers, lifecycle, inbox, sleep, spec } = this.#options;
    if (lifecycle.state !== "starting") lifecycle.move("starting");
    await sleep.begin();
    const { restartLimits, restart } = spec;
    const child: ChildSpec = {
      id: "instance",
      restart,
      // A replaced one may finish what it has in hand; whoever stops the supervisor has a limit.
      shutdown: "infinity",
      type: "worker",
      start: (abort) => this.#startRunner(abort),
    };
    try {
      this.#supervisor = await Supervisor.start({
        id: keyText(key),
        strategy: "one_for_one",
        clock: powers.clock,
        children: [child],
        maxRestarts: restartLimits.maxRestarts,
        maxSeconds: restartLimits.maxSeconds,
        backoff: BACKOFF,
        onEvent: (event) => this.#supervised(event),
        log: powers.log,
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      inbox.failAll(notUp(key.service, lifecycle.state));
      throw error;
    }
    return this.#supervisor;
  }

  /** Orderly end: no new messages, what is in flight is finished, `terminate` runs. */
  async stop(options: { force: boolean; timeoutMs: number }): Promise<{ forced: boolean }> {
    const { powers, lifecycle, inbox, sleep } = this.#options;
    const deadline = powers.clock.now() + options.timeoutMs;
    if (lifecycle.can("draining")) lifecycle.move("draining");
    this.#options.infos.clear();
    const forced = options.force || !(await this.#emptied(deadline));
    inbox.failAll(
      new SoloError("service_not_running", "The service was stopped.", {
        hint: "Deploy it again to use it.",
      }),
    );
    const instance = this.#instance;
    if (forced) instance?.kill();
    const timeoutMs = Math.max(1, deadline - powers.clock.now());
    await this.#supervisor?.stop({ timeoutMs });
    const reason = await instance?.exited;
    await sleep.settled();
    if (lifecycle.can("stopped")) lifecycle.move("stopped");
    return { forced: forced || (reason !== undefined && !isOrderly(reason)) };
  }

  /** At once, whatever it has in hand. */
  kill(): void {
    this.#supervisor?.kill();
  }

  /** Its supervisor restarts nothing until `resume`. */
  suspend(): void {
    this.#suspension ??= Promise.withResolvers();
  }

  resume(): void {
    this.#suspension?.resolve();
    this.#suspension = undefined;
  }

  /** Left alone until somebody starts it. */
  quarantine(): void {
    const { lifecycle } = this.#options;
    if (lifecycle.can("quarantined")) lifecycle.move("quarantined");
  }

  /** One that was loaded serves from now on: what happened until now is told. */
  serve(): void {
    if (this.#standing !== "loaded") return;
    this.#standing = "serving";
    if (this.#instance !== undefined) this.#runs(this.#instance);
    else this.#options.lifecycle.move("crashed");
    if (this.#gaveUp !== undefined) this.#supervised(this.#gaveUp);
  }

  /** Another serves from now on. */
  leave(): void {
    this.#standing = "replaced";
  }

  /** Ends one that serves no more or never did; what it has in hand may end within `lingerMs`. */
  async retire(lingerMs: number): Promise<void> {
    const { lifecycle } = this.#options;
    this.#lingerMs = lingerMs;
    if (!lifecycle.can("draining")) return;
    lifecycle.move("draining");
    await this.#supervisor?.stop({ timeoutMs: lingerMs + RETIRE_MS });
    lifecycle.move("stopped");
  }

  /** The instance goes, the replica sleeps. */
  evict(): void {
    this.#instance = undefined;
    this.#runner!.sleep();
  }

  rouse(): void {
    this.#runner?.wake();
  }

  async #startRunner(signal: AbortSignal): Promise<Runner> {
    const { lifecycle } = this.#options;
    const suspended = this.#suspension?.promise;
    if (suspended !== undefined) {
      await within(suspended, { ms: MAX_SUSPENSION_MS, what: "its successor", signal });
    }
    if (this.#options.sleep.resumes()) this.#runner = Runner.asleep(this.#runnerOptions);
    else {
      if (this.#standing === "serving" && lifecycle.can("restarting")) lifecycle.move("restarting");
      this.#runner = await Runner.start(this.#runnerOptions, signal);
    }
    return this.#runner;
  }

  get #runnerOptions(): RunnerOptions {
    const { powers, launcher, record, sleep } = this.#options;
    return {
      start: (abort) => launcher.start(abort),
      current: (instance) => this.#currentChanged(instance),
      now: () => powers.clock.now(),
      learn: (crash) => launcher.learn(crash),
      relocated: (crash) => {
        if (this.#standing === "serving") record.relocated(crash);
      },
      // Only who serves has an end of its own to go through: `terminate`, and a state to tell.
      stop: (instance, how) =>
        this.#standing === "serving"
          ? instance.stop(how)
          : instance.finish(this.#lingerMs, replaced()),
      turn: () => powers.wakes.enter(),
      wakeFailed: () => sleep.wakeFailed(),
    };
  }

  #currentChanged(instance: Instance | undefined): void {
    const { inbox } = this.#options;
    this.#instance = instance;
    if (this.#standing !== "serving") return;
    if (instance !== undefined) this.#runs(instance);
    // Those of one that was held may be its successor's by now.
    else if (!inbox.isHeld) this.#options.infos.clear();
  }

  #runs(instance: Instance): void {
    const { lifecycle, sleep, record, inbox } = this.#options;
    // It came to serve just as its cell had ended, and its runner has moved it.
    if (lifecycle.state === "crashed") lifecycle.move("restarting");
    if (lifecycle.can("running")) lifecycle.move("running");
    if (!sleep.ended(instance)) record.started(instance);
    inbox.pump();
  }

  #supervised(event: SupervisorEvent): void {
    if (this.#standing === "replaced") return;
    if (this.#standing === "loaded") {
      if (event.kind === "gave_up") this.#gaveUp = event;
    } else if (event.kind === "child_exited" && !event.asked) this.#exited(event.reason);
    else if (event.kind === "child_start_failed") this.#crashed(event.error);
    else if (event.kind === "gave_up") {
      const { record, quarantined } = this.#options;
      this.quarantine();
      this.#options.infos.clear();
      this.#nobodyComes();
      record.quarantined(event.failures);
      quarantined();
    }
  }

  #exited(reason: ExitReason): void {
    const { lifecycle, spec } = this.#options;
    if (reason.kind === "crashed") this.#crashed(reason.error);
    else if (lifecycle.can("crashed")) lifecycle.move("crashed");
    const { restart } = spec;
    const staysDown = restart === "temporary" || (restart === "transient" && isOrderly(reason));
    if (!staysDown || !lifecycle.can("stopped")) return;
    lifecycle.move("stopped");
    this.#nobodyComes();
  }

  #crashed(error: unknown): void {
    const { lifecycle, vitals, record, launcher, limits, inbox, crashed } = this.#options;
    // A first start that fails is the deployer's news; the service was never there.
    if (lifecycle.state === "starting") return;
    if (lifecycle.can("crashed")) lifecycle.move("crashed");
    vitals.crashed();
    queueMicrotask(crashed);
    if (!(error instanceof InstanceCrash)) return record.startFailed(error);
    launcher.learn(error);
    const { withCell, down } = error;
    limits.crashed({ reason: down.reason, withCell }, inbox.givenUpAfterMs);
    record.crashed(error);
  }

  #nobodyComes(): void {
    const { key, lifecycle, inbox } = this.#options;
    inbox.failAll(notUp(key.service, lifecycle.state));
  }

  async #emptied(deadline: number): Promise<boolean> {
    const { powers, inbox } = this.#options;
    while (inbox.length > 0) {
      if (this.#instance === undefined || powers.clock.now() >= deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, EMPTY_POLL_MS));
    }
    return true;
  }
}
