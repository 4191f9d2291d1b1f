/**
 * The host's side of one guest: feeds it lines, has what it says heard, and reports its end.
 *
 * 1. Turns of a guest never overlap; what arrives meanwhile goes into the next one.
 * 2. What a guest says wrongly ends the guest, and not the cell around it.
 * 3. The end is reported once, with what was at hand and what had not begun.
 */
import { GuestFailure, type Guest } from "#cell/engine.ts";
import { FLAG, IN, splitLine, type GuestSetup, type Thrown } from "#cell/guest/lines.ts";
import { believed, BrokenBridge, readSalvage, type Salvage } from "#cell/from-guest.ts";
import { FAST_LANE_TIMEOUT_MS, Record as LaneRecord, type PoolGate } from "#cell/lanes.ts";
import { Speech } from "#cell/speech.ts";
import { TurnWatch } from "#cell/turn-watch.ts";
import {
  FROM_CELL,
  type Adoption,
  type Down,
  type DownReason,
  type StartInstance,
} from "#wire/messages.ts";

const MAX_LINES_PER_TURN = 64;
const QUICK = { timeoutMs: FAST_LANE_TIMEOUT_MS };

export interface InstanceOptions {
  readonly slot: number;
  readonly start: StartInstance;
  readonly guest: Guest;
  readonly gate: PoolGate;
  /** Requests that the cell itself answers, such as crypto; undefined: the kernel's. */
  readonly answerLocally: (method: string, request: unknown) => Promise<unknown> | undefined;
  readonly send: (kind: number, slot: number, id: number, payload?: string | Uint8Array) => void;
  /** CPU time of this process, ms. */
  readonly cpuMs: () => number;
  /** CPU time of this thread, ms. */
  readonly threadCpuMs: () => number;
  readonly ended: (slot: number) => void;
}

const MESSAGES: ReadonlySet<string> = new Set([IN.call, IN.cast, IN.info, IN.fetch]);

export class Instance {
  readonly #options: InstanceOptions;
  readonly #guest: Guest;
  readonly #record = new LaneRecord();
  readonly #speech: Speech;
  readonly #watch: TurnWatch;
  #inbox: { line: string; key: string }[] = [];
  #chunks: Uint8Array[] = [];
  #running = false;
  #acknowledged = true;
  #stopping = false;
  #ended = false;
  #onFastLane = false;
  #pausedUntil = 0;
  #pauseTimer: NodeJS.Timeout | undefined;
  /** The last message that came. */
  #seen = 0;
  #startupTimer: NodeJS.Timeout | undefined;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.#guest = options.guest;
    const { slot, send, answerLocally, cpuMs } = options;
    this.#speech = new Speech({
      send: (kind, id, payload) => send(kind, slot, id, payload),
      post: (op, id, rest, key) => this.post(op, id, rest, key),
      answerLocally,
      ready: () => clearTimeout(this.#startupTimer),
      terminated: () => this.#end("stopped", undefined, ""),
    });
    this.#watch = new TurnWatch({
      cpuMs,
      overdue: () => this.#end("timeout", undefined, "It ran on after its deadline."),
    });
    if (!options.start.fastLane) this.#record.ban();
  }

  get running(): boolean {
    return this.#running;
  }

  get guest(): Guest {
    return this.#guest;
  }

  async start(): Promise<void> {
    const { start } = this.#options;
    const setup: GuestSetup = {
      seed: [...Buffer.from(start.seed, "base64")],
      tenant: start.tenant,
      service: start.service,
      instance: start.instance,
      env: start.env,
      args: start.args,
      state: start.state,
      durable: start.durable,
      keepState: start.keepState,
      stateBytes: start.stateBytes,
      excluded: start.excluded,
    };
    const timeoutMs = start.startupTimeoutMs;
    const late = setTimeout(() => {
      if (!this.#speech.hasStarted)
        this.#end("startup_timeout", undefined, "It was not ready in time.");
    }, timeoutMs);
    this.#running = true;
    try {
      // Nothing of the guest's own runs before `load`, and nothing in a drain.
      this.#hear(this.#guest.turnNow(`${IN.setup} 0 ${JSON.stringify(setup)}`, true, QUICK));
      await this.#guest.load(start.modules, start.entry, { timeoutMs });
      this.#drain();
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#running = false;
      this.#schedule();
      // Top-level awaits and an asynchronous init go on in later turns.
      if (this.#speech.hasStarted || this.#ended) clearTimeout(late);
      else this.#startupTimer = late;
    }
  }

  /** Puts a line into the guest's next turn; `key` names the handler that it will run. */
  post(op: string, id: number, rest = "", key = "resume"): void {
    if (this.#ended) return;
    if (MESSAGES.has(op)) {
      this.#speech.opened(id);
      this.#seen = id;
    }
    this.#inbox.push({ line: rest === "" ? `${op} ${id}` : `${op} ${id} ${rest}`, key });
    this.#schedule();
  }

  postBytes(op: string, id: number, bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#chunks.push(bytes);
    this.post(op, id);
  }

  answer(id: number, ok: boolean, text: string): void {
    this.#speech.answer(id, ok, text);
  }

  cancel(id: number): void {
    // Also when it has answered: the body of its response may still flow.
    this.post(IN.cancel, id);
    if (this.#speech.open.has(id)) this.#watch.givenUp();
  }

  /** The guest takes a state over; one that does not get there in time is ended. */
  adopt(text: string): void {
    const { timeoutMs } = JSON.parse(text) as Adoption;
    this.#startupTimer = setTimeout(() => {
      this.#end("startup_timeout", undefined, `It did not take the state over in ${timeoutMs} ms.`);
    }, timeoutMs);
    this.post(IN.adopt, 0, text, "adopt");
  }

  /** No turn begins for so long; what arrives waits. */
  pause(ms: number): void {
    if (this.#stopping || this.#ended) return;
    this.#pausedUntil = performance.now() + ms;
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(() => this.#resume(), ms);
  }

  #resume(): void {
    clearTimeout(this.#pauseTimer);
    this.#pausedUntil = 0;
    this.#schedule();
  }

  get #isPaused(): boolean {
    return this.#pausedUntil > performance.now();
  }

  stop(reason: string): void {
    this.#stopping = true;
    this.#resume();
    this.post(IN.terminate, 0, JSON.stringify(reason));
  }

  /** At once; a guest that only waits is asked first what it has not begun. */
  async drop(): Promise<void> {
    const idle = this.#speech.hasStarted && !this.#running;
    this.#running = true;
    const at = idle ? await this.#salvage() : undefined;
    this.#end("dropped", undefined, "Dropped.", at?.current, at?.waiting);
  }

  #schedule(): void {
    if (this.#running || this.#ended || this.#inbox.length === 0 || this.#isPaused) return;
    this.#running = true;
    queueMicrotask(() => void this.#loop());
  }

  async #loop(): Promise<void> {
    try {
      while (this.#inbox.length > 0 && !this.#ended && !this.#isPaused) {
        const batch = this.#inbox.splice(0, MAX_LINES_PER_TURN);
        const keys = new Set(batch.map((entry) => entry.key));
        const lines = batch.map((entry) => entry.line);
        await this.#turn(lines, keys);
      }
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#running = false;
      this.#schedule();
    }
  }

  async #turn(lines: readonly string[], keys: ReadonlySet<string>): Promise<void> {
    if (this.#chunks.length > 0) {
      this.#guest.give(this.#chunks);
      this.#chunks = [];
    }
    if (keys.has("fetch")) this.#guest.expectRequests();
    const acknowledged = this.#acknowledged;
    this.#acknowledged = false;
    const tookMs = this.#record.isProven(keys)
      ? this.#turnHere(lines, acknowledged)
      : await this.#turnInPool(lines, acknowledged);
    if (tookMs !== undefined) this.#record.note(keys, tookMs / lines.length);
  }

  /** On the cell's own thread. Returns how long that was at work. */
  #turnHere(lines: readonly string[], acknowledged: boolean): number {
    const { threadCpuMs } = this.#options;
    const usedMs = threadCpuMs();
    this.#onFastLane = true;
    this.#hear(this.#guest.turnNow(lines.join("\n"), acknowledged, QUICK));
    this.#drain();
    this.#onFastLane = false;
    return threadCpuMs() - usedMs;
  }

  /** Resolves with how long the guest ran, at most: on the pool a turn also waits, for which its
   *  handlers are not to blame. Undefined when it ended meanwhile. */
  async #turnInPool(lines: readonly string[], acknowledged: boolean): Promise<number | undefined> {
    const { gate, start, cpuMs } = this.#options;
    const leave = await gate.enter();
    try {
      if (this.#ended) return undefined;
      this.#watch.turnBegins(lines.length);
      const ranMs = this.#guest.ranMs();
      const usedMs = cpuMs();
      const limit = { timeoutMs: start.callTimeoutMs };
      const said = await this.#guest.turn(lines.join("\n"), acknowledged, limit);
      if (this.#ended) return undefined;
      this.#hear(said);
      this.#drain();
      return Math.min(this.#guest.ranMs() - ranMs, cpuMs() - usedMs);
    } finally {
      leave();
      this.#watch.turnEnded();
    }
  }

  /** Continuations run after the turn has returned what was said until then. */
  #drain(): void {
    if (!this.#ended) this.#hear(this.#guest.drain(this.#acknowledged, QUICK));
  }

  /** Acts on what a turn returned. */
  #hear(said: string): void {
    this.#acknowledged = true;
    const chunks = said[0] === FLAG.bytes ? this.#guest.take() : [];
    for (const line of this.#speech.linesOf(said.slice(1))) {
      if (!this.#ended) this.#speech.hear(line, chunks);
    }
    const { crash, hasStarted } = this.#speech;
    if (crash !== undefined) {
      const { thrown, id, waiting } = crash;
      this.#end(hasStarted ? "exception" : "load_failed", thrown, thrown.message, id, waiting);
    }
  }

  /** Of a guest that has failed already: bytes it cannot hand over any more are lost. */
  #hearLast(said: string): void {
    try {
      this.#hear(said);
    } catch (failure) {
      if (!(failure instanceof GuestFailure)) throw failure;
    }
  }

  /** The guest gave no result: say what it had said, then that it is gone. */
  async #failed(error: unknown): Promise<void> {
    if (this.#ended) return;
    if (!(error instanceof GuestFailure)) throw error;
    const reasons = {
      exception: "exception",
      timeout: "timeout",
      memory: "memory",
      disposed: "dropped",
    } as const;
    const reason = reasons[error.kind];
    const speaks = error.kind === "exception" || error.kind === "timeout";
    const at = speaks ? await this.#salvage() : undefined;
    // Who broke its bridge has nothing to say that this thread should read.
    if (at !== undefined && !(error instanceof BrokenBridge)) this.#hearLast(at.said);
    const thrown = { name: error.errorName, message: error.message, stack: error.guestStack };
    const failedToStart = !this.#speech.hasStarted && reason === "exception";
    this.#end(
      failedToStart ? "load_failed" : reason,
      thrown,
      error.message,
      at?.current,
      at?.waiting,
    );
  }

  /** What a guest that gets no more turns was at, had not begun, and had to say. */
  async #salvage(): Promise<Salvage | undefined> {
    try {
      return believed(readSalvage, await this.#guest.salvage());
    } catch (failure) {
      if (failure instanceof GuestFailure) return undefined;
      throw failure;
    }
  }

  #end(
    reason: DownReason,
    thrown: Thrown | undefined,
    message: string,
    current?: number,
    waiting: readonly number[] = [],
  ): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch.turnEnded();
    clearTimeout(this.#startupTimer);
    clearTimeout(this.#pauseTimer);
    this.#speech.end();
    // What is still in the inbox never reached the guest.
    const unbegun = new Set(waiting);
    for (const { line } of this.#inbox) {
      if (MESSAGES.has(line[0]!)) unbegun.add(splitLine(line)!.id);
    }
    const { open } = this.#speech;
    const unstarted = [...open].filter((id) => unbegun.has(id));
    const first = open.values().next().value;
    const at = current !== undefined && current > 0 ? current : first;
    const down: Down = {
      reason: this.#stopping && reason === "exception" ? "stopped" : reason,
      name: thrown?.name ?? "",
      message,
      stack: thrown?.stack ?? "",
      ...(at !== undefined && { current: at }),
      unstarted,
      seen: this.#seen,
      ranMs: this.#guest.ranMs(),
      ...(reason === "timeout" && this.#onFastLane && { fastLane: true }),
    };
    this.#options.send(FROM_CELL.down, this.#options.slot, 0, JSON.stringify(down));
    this.#options.ended(this.#options.slot);
    // Taking an isolate down takes longer than starting the next: the news goes first.
    setImmediate(() => this.#guest.dispose());
  }
}
