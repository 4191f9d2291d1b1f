/**
 * The compiler processes there are: some that a tenant has, and a spare that has compiled
 * nothing for anybody.
 *
 * 1. A process that has read a tenant's source never reads another's: what a fault of the
 *    parser gives away is the tenant's own.
 * 2. A tenant has one process at most, and one request at a time at work in it; whose turn it
 *    is when there are more tenants than processes, `decideTurns` says.
 * 3. What ends a process fails the request at work. Those behind it go on in the next one.
 * 4. There are `limit` processes at most, one spare, and those that are just ending.
 */
import type { Clock } from "#base/clock.ts";
import { within } from "#base/deadline.ts";
import { SoloError, toSoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Launcher } from "#kernel/cells/launcher.ts";
import { CompilerProcess, NeverTried, type CompilerRequest } from "#kernel/compilers/process.ts";
import { decideTurns, type Held } from "#kernel/compilers/turns.ts";
import { Waiting } from "#kernel/compilers/waiting.ts";
import {
  TO_COMPILER,
  type CompileRequest,
  type CompileResult,
  type MapStackRequest,
} from "#wire/compiler.ts";
import { readCompileResult, readMappedStack } from "#wire/from-compiler.ts";

/** A tenant's process that has nothing to do is kept for the next deploy. */
const IDLE_MS = 60_000;
/** An eager refill costs the very deploy that took the spare. */
const REFILL_AFTER_MS = 150;
/** A mapped stack is a courtesy: nobody waits long for it. */
const STACK_WAIT_MS = 3000;
/** Processes that may end before they begin a request, until that is given up. */
const MAX_TRIES = 3;

interface Job {
  readonly chars: number;
  readonly request: CompilerRequest<unknown>;
  tries: number;
  resolve(answer: unknown): void;
  reject(error: SoloError): void;
}

interface Place {
  readonly process: CompilerProcess;
  readonly sinceMs: number;
  usedMs: number;
  isAtWork: boolean;
  idle: NodeJS.Timeout | undefined;
}

export interface CompilerPoolOptions {
  readonly launch: Launcher;
  readonly clock: Clock;
  readonly log: Logger;
  /** Tenants that compile at the same moment. */
  readonly limit: number;
}

export class CompilerPool {
  readonly #options: CompilerPoolOptions;
  readonly #waiting = new Waiting<Job>();
  readonly #places = new Map<string, Place>();
  /** All that live, those that are ending included. */
  readonly #processes = new Set<CompilerProcess>();
  #spare: CompilerProcess | undefined;
  #refill: NodeJS.Timeout | undefined;
  #closed = true;

  constructor(options: CompilerPoolOptions) {
    this.#options = options;
  }

  /** The spare starts in the background. */
  async open(): Promise<void> {
    this.#closed = false;
    this.#makeSpare();
  }

  compile(tenant: string, request: CompileRequest): Promise<CompileResult> {
    return this.#ask(tenant, {
      kind: TO_COMPILER.compile,
      payload: request,
      read: (text) => readCompileResult(text, request),
    });
  }

  /** The stack in the agent's source, or as it is when mapping fails. */
  async mapStack(tenant: string, request: MapStackRequest): Promise<string> {
    const asked = { kind: TO_COMPILER.mapStack, payload: request, read: readMappedStack };
    try {
      const mapped = this.#ask(tenant, asked);
      return await within(mapped, { ms: STACK_WAIT_MS, what: "the compiler to map a stack" });
    } catch (error) {
      this.#options.log.debug("stack not mapped", { error: String(error) });
      return request.stack;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refill);
    for (const { idle } of this.#places.values()) clearTimeout(idle);
    this.#places.clear();
    this.#spare = undefined;
    for (const job of this.#waiting.takeAll()) job.reject(restarting());
    for (const process of this.#processes) process.kill("the kernel stops");
    await Promise.all([...this.#processes].map(({ cleared }) => cleared));
  }

  #ask<T>(tenant: string, request: CompilerRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(restarting());
      this.#waiting.add(tenant, {
        chars: charsOf(request.payload),
        request,
        tries: 0,
        resolve,
        reject,
      });
      this.#turn();
    });
  }

  #turn(): void {
    const held = [...this.#places].map(([tenant, place]): Held => ({ tenant, ...place }));
    const { limit, clock } = this.#options;
    const waiting = this.#waiting.tenants;
    const turns = decideTurns({ held, waiting, limit, nowMs: clock.now() });
    for (const tenant of turns.end) this.#leave(tenant);
    for (const tenant of [...turns.begin, ...turns.goOn]) void this.#serve(tenant);
  }

  async #serve(tenant: string): Promise<void> {
    const place = this.#places.get(tenant) ?? this.#enter(tenant);
    const job = this.#waiting.take(tenant);
    if (job === undefined) return;
    clearTimeout(place.idle);
    place.isAtWork = true;
    place.usedMs = this.#options.clock.now();
    job.tries += 1;
    try {
      job.resolve(await place.process.ask(job.request));
    } catch (error) {
      this.#failed(tenant, job, error);
    }
    place.isAtWork = false;
    if (this.#closed) return;
    if (place.process.isGone) this.#leave(tenant);
    else place.idle = setTimeout(() => this.#leave(tenant), IDLE_MS);
    this.#turn();
  }

  #failed(tenant: string, job: Job, error: unknown): void {
    if (this.#closed) return job.reject(restarting());
    if (!(error instanceof NeverTried)) return job.reject(toSoloError(error));
    if (job.tries < MAX_TRIES) return this.#waiting.putBack(tenant, job);
    job.reject(
      new SoloError("unavailable", `No compiler starts (${error.message}).`, {
        hint: "The kernel's log says more; `solo doctor` looks at what the processes need.",
        retryAfterMs: 1000,
      }),
    );
  }

  #enter(tenant: string): Place {
    const spare = this.#spare;
    this.#spare = undefined;
    const process = spare === undefined || spare.isGone ? this.#launch() : spare;
    const now = this.#options.clock.now();
    const place = { process, sinceMs: now, usedMs: now, isAtWork: false, idle: undefined };
    this.#places.set(tenant, place);
    this.#refillSoon();
    return place;
  }

  #leave(tenant: string): void {
    const place = this.#places.get(tenant);
    clearTimeout(place?.idle);
    this.#places.delete(tenant);
    place?.process.kill("no longer needed");
  }

  #makeSpare(): void {
    if (this.#spare === undefined || this.#spare.isGone) this.#spare = this.#launch();
  }

  /** One that cannot even start is tried again when there is work, not for ever. */
  async #spareEnded(process: CompilerProcess): Promise<void> {
    if (this.#spare !== process) return;
    this.#spare = undefined;
    if (await process.ready) this.#refillSoon();
  }

  #refillSoon(): void {
    clearTimeout(this.#refill);
    if (!this.#closed) this.#refill = setTimeout(() => this.#makeSpare(), REFILL_AFTER_MS);
  }

  #launch(): CompilerProcess {
    const { launch, log } = this.#options;
    const process = new CompilerProcess({ launch, log });
    this.#processes.add(process);
    void process.gone.then(() => this.#spareEnded(process));
    void process.cleared.then(() => this.#processes.delete(process));
    return process;
  }
}

/** What a request holds of the kernel's memory while it waits. */
const charsOf = (payload: object): number =>
  Object.values(payload).reduce<number>((sum, value) => {
    if (typeof value === "string") return sum + value.length;
    return typeof value === "object" && value !== null ? sum + charsOf(value as object) : sum;
  }, 0);

const restarting = (): SoloError =>
  new SoloError("unavailable", "The compiler is being restarted.", {
    hint: "Try again.",
    retryAfterMs: 200,
  });
