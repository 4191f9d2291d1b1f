/**
 * What one service uses, against what it may: asked before work is taken.
 *
 * 1. A refusal is typed, names the limit and says when to try again.
 * 2. Messages of the service's own timers are never refused for its share of CPU time: it
 *    pauses instead, and they wait.
 */
import { SoloError } from "#base/errors.ts";
import type { ServiceKey } from "#base/ids.ts";
import { asBound, type Limits } from "#deploy/limits.ts";
import type { TenantLimits } from "#kernel/limits/tenant-limits.ts";
import type { DispatchKind } from "#kernel/services/messages/dispatch.ts";
import { CpuShare } from "#limits/cpu-share.ts";
import type { Limit, LimitAction, SERVICE_RESOURCES, Violation } from "#limits/limit.ts";
import { Meter } from "#limits/meter.ts";
import type { DownReason } from "#wire/messages.ts";
import { counted, NO_RATE, restOf, WINDOW_MS } from "#limits/rate.ts";

export type ServiceResource = (typeof SERVICE_RESOURCES)[number];

const MIB = 1024 * 1024;
const RETRY_MS = 500;
/** Requests of a service that wait for the next second; an honest cell asks for less. */
const MAX_HELD_REQUESTS = 1024;

/** Ends an instance; its supervisor decides what follows. */
export interface Killable {
  overLimit(message: string): void;
}

export interface ServiceSample {
  /** CPU time of all its instances since ever, ms. */
  readonly cpuMs: number;
  /** Of its largest instance. */
  readonly memoryBytes: number;
  /** The longest. */
  readonly mailbox: number;
  /** How long the message at hand is being handled; the longest. */
  readonly workingMs: number;
}

export interface ServiceLimitsOptions {
  readonly key: ServiceKey;
  readonly limits: Limits;
  readonly tenant: TenantLimits;
  readonly now: () => number;
  readonly tell: (violation: Violation) => void;
}

export class ServiceLimits {
  readonly key: ServiceKey;
  readonly tenant: TenantLimits;
  readonly meter: Meter<ServiceResource>;
  readonly #now: () => number;
  readonly #cpu = new CpuShare();
  #limits: Limits;
  #openRequests = 0;
  #timers = 0;
  #hostRate = NO_RATE;
  #heldRequests = 0;

  constructor(options: ServiceLimitsOptions) {
    const { key, limits, tenant, now, tell } = options;
    this.key = key;
    this.tenant = tenant;
    this.#now = now;
    this.#limits = limits;
    this.meter = new Meter({ limits: boundsOf(limits), now, tell });
  }

  get limits(): Limits {
    return this.#limits;
  }

  /** The limits of another revision, from now on. */
  relimit(limits: Limits): void {
    this.#limits = limits;
    this.meter.relimit(boundsOf(limits));
  }

  get isCpuThrottled(): boolean {
    return this.#limits.actions.cpu === "throttle" && this.meter.levelOf("cpu") === "exceeded";
  }

  /** Why a message is not taken now. `receiver`: what a limit with action kill ends. */
  refusalOf(kind: DispatchKind, chars: number, receiver: Killable): SoloError | undefined {
    const isRequest = kind === "call" || kind === "fetch";
    if (kind !== "info") {
      if (this.isCpuThrottled) {
        const percent = this.#limits.cpuPercent;
        return this.#full("cpu_percent", `has used ${percent} % of a core for 5 s`);
      }
      if (kind !== "fetch" && this.meter.read("message", chars) !== undefined) {
        return tooLarge(chars, this.#limits.messageBytes);
      }
    }
    if (isRequest) {
      const act = this.meter.read("open_requests", this.#openRequests + 1);
      const open = `has ${this.#limits.openRequests} requests open`;
      if (act === "kill") receiver.overLimit(overLimitText("open_requests", open));
      if (act === "throttle" || act === "kill") return this.#full("open_requests", open);
    }
    return this.tenant.refusalOf(isRequest, chars);
  }

  entered(kind: DispatchKind, chars: number): void {
    const isRequest = kind === "call" || kind === "fetch";
    if (isRequest) this.#openRequests += 1;
    this.tenant.entered(isRequest, chars);
  }

  left(kind: DispatchKind, chars: number): void {
    const isRequest = kind === "call" || kind === "fetch";
    if (isRequest) {
      this.#openRequests -= 1;
      this.meter.read("open_requests", this.#openRequests);
    }
    this.tenant.left(isRequest, chars);
  }

  /** One more timer; throws when there is no room for it. */
  timerStarted(instance: Killable): void {
    const act = this.meter.read("timers", this.#timers + 1);
    if (act !== undefined) {
      const text = `has ${this.#limits.timers} timers`;
      if (act === "kill") instance.overLimit(overLimitText("timers", text));
      throw this.#full("timers", text, "Cancel timers you no longer need.");
    }
    this.#timers += 1;
  }

  timerEnded(): void {
    this.#timers -= 1;
    this.meter.read("timers", this.#timers);
  }

  /** Runs what the guest asks of the kernel: now, in the next second, or never. */
  hostRequest(instance: Killable, run: () => void): void {
    const now = this.#now();
    this.#hostRate = counted(this.#hostRate, now);
    const act = this.meter.read("host_requests", this.#hostRate.count);
    if (act === undefined || act === "warn") return run();
    const text = `asked the kernel more than ${this.#limits.hostRequestsPerSecond} times in a second`;
    if (act === "kill" || this.#heldRequests >= MAX_HELD_REQUESTS) {
      return instance.overLimit(overLimitText("host_requests_per_second", text));
    }
    this.#heldRequests += 1;
    setTimeout(
      () => {
        this.#heldRequests -= 1;
        run();
      },
      restOf(this.#hostRate, now),
    );
  }

  /**
   * An instance ended for what it used; `withCell`: its process passed the tenant's limit, which
   * is told of the tenant. `waitedMs`: how long the sender of the message waited that it held on to.
   */
  crashed(
    { reason, withCell }: { readonly reason: DownReason; readonly withCell: boolean },
    waitedMs: number | undefined,
  ): void {
    const { meter } = this;
    if (reason === "memory" && !withCell) meter.violated("memory", meter.valueOf("memory"));
    if (reason === "timeout") {
      const limit = Math.min(waitedMs ?? Infinity, this.#limits.callTimeoutMs);
      meter.violated("call_time", meter.valueOf("call_time"), limit);
    }
  }

  /** What no event announces, read now and then; the action when CPU time passes its limit. */
  sampled(sample: ServiceSample, now: number): LimitAction | undefined {
    const { meter } = this;
    if (restOf(this.#hostRate, now) === 0) meter.read("host_requests", 0);
    meter.read("mailbox", Math.min(sample.mailbox, this.#limits.mailbox));
    meter.read("message", 0);
    meter.read("kv_value", 0);
    meter.read("log_line", 0);
    // What passes these ends, which is told when it does.
    meter.read("memory", Math.min(sample.memoryBytes, meter.limitOf("memory")));
    meter.read("call_time", Math.min(sample.workingMs, meter.limitOf("call_time")));
    meter.settle();
    return meter.read("cpu", this.#cpu.read(sample.cpuMs, now));
  }

  #full(name: string, is: string, hint?: string): SoloError {
    return new SoloError(
      "limit_exceeded",
      `${this.key.service} ${is}; limits.${name} allows no more.`,
      {
        hint: hint ?? `Send it again a little later, or raise limits.${name}.`,
        retryAfterMs: name === "cpu_percent" ? WINDOW_MS : RETRY_MS,
      },
    );
  }
}

export const overLimitText = (name: string, is: string): string =>
  `It ${is}; limits.${name} allows no more, and its action is kill.`;

const tooLarge = (chars: number, limit: number): SoloError =>
  new SoloError(
    "payload_too_large",
    `The message has ${chars} characters of JSON; limits.message_bytes allows ${limit}.`,
    { hint: "Send less at once, or raise limits.message_bytes." },
  );

function boundsOf(limits: Limits): Readonly<Record<ServiceResource, Limit>> {
  const { actions } = limits;
  const mailboxAction = limits.mailboxPolicy === "kill" ? "kill" : "throttle";
  return {
    memory: { limit: limits.memoryMb * MIB, action: "kill" },
    cpu: { limit: asBound("cpuPercent", limits.cpuPercent), action: actions.cpu },
    call_time: { limit: limits.callTimeoutMs, action: "kill" },
    mailbox: { limit: limits.mailbox, action: mailboxAction },
    open_requests: { limit: limits.openRequests, action: actions.openRequests },
    timers: { limit: limits.timers, action: actions.timers },
    log_lines: { limit: limits.logLinesPerSecond, action: actions.logs },
    message: { limit: limits.messageBytes, action: "throttle" },
    log_line: { limit: limits.logLineBytes, action: "throttle" },
    log: { limit: limits.logBytes, action: "throttle" },
    state: { limit: limits.stateBytes, action: "kill" },
    storage: { limit: limits.storageBytes, action: actions.storage },
    kv_keys: { limit: limits.kvKeys, action: actions.storage },
    kv_value: { limit: limits.kvValueBytes, action: "throttle" },
    host_requests: { limit: limits.hostRequestsPerSecond, action: actions.hostRequests },
  };
}
