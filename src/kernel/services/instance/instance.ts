/**
 * One running copy of a service, as the kernel sees it: a slot on a cell.
 *
 * 1. Its end is reported once; every dispatch it had been given has an outcome then, or is
 *    handed back because it had not begun.
 * 2. A start or a hand-over that its cell does not end in time ends the cell.
 */
import { within } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import type { InstanceId } from "#base/ids.ts";
import type { Child, ExitReason, StopOptions } from "#supervisor/child.ts";
import type { Blame } from "#kernel/cells/blame.ts";
import { settledWithin } from "#supervisor/effort.ts";
import type { Cell, CellEnd, SlotHandler } from "#kernel/cells/cell.ts";
import { Answers } from "#kernel/services/host/answers.ts";
import { Barrier } from "#kernel/services/instance/barrier.ts";
import { FRAME_OF, type Dispatch } from "#kernel/services/messages/dispatch.ts";
import { InHand } from "#kernel/services/instance/in-hand.ts";
import {
  down,
  exitOf,
  gone,
  InstanceCrash,
  type Fault,
} from "#kernel/services/instance/outcomes.ts";
import { Settling } from "#kernel/services/instance/settling.ts";
import { SlotFrames, type SlotHearer } from "#kernel/services/instance/slot-frames.ts";
import { StateTalk } from "#kernel/services/instance/state-talk.ts";
import {
  TO_CELL,
  type Adoption,
  type Down,
  type Excess,
  type LogLine,
  type SnapshotWish,
  type StartInstance,
  type Started,
  type StateShapes,
} from "#wire/messages.ts";

export interface InstanceEvents {
  readonly request: (instance: Instance, id: number, method: string, args: unknown[]) => void;
  readonly log: (instance: Instance, line: LogLine) => void;
  /** The guest passed a bound that is held within it. */
  readonly exceeded: (instance: Instance, excess: Excess) => void;
  /** What the guest said, without its secrets. */
  readonly redact: <T>(said: T) => T;
  /** Stores the state that the guest sent by itself; resolves when it is on disk. */
  readonly state: (instance: Instance, state: string) => Promise<void>;
  /** Room for another dispatch. */
  readonly room: (instance: Instance) => void;
  /** A message that it had in hand has ended. `failed`: not as its sender hoped. */
  readonly settled: (instance: Instance, tookMs: number, failed: boolean) => void;
  /** These had not begun when the instance ended. */
  readonly handBack: (instance: Instance, dispatches: readonly Dispatch[]) => void;
}

export interface InstanceOptions {
  readonly id: InstanceId;
  readonly cell: Cell;
  readonly start: StartInstance;
  readonly events: InstanceEvents;
  readonly now: () => number;
}

/** Why the kernel ends an instance although nobody asked for it. */
interface Condemned {
  readonly reason: "timeout" | "limit" | "memory";
  readonly message: string;
}

/** After `drop`, the cell has this long to report the end before it is killed. */
const DROP_GRACE_MS = 125;
const ITS_OWN: Fault = { blame: "culprit", withCell: false };
const STARTUP_GRACE_MS = 1000;

export class Instance implements Child, SlotHandler {
  readonly id: InstanceId;
  readonly cell: Cell;
  readonly durable: boolean;
  readonly exited: Promise<ExitReason>;
  started: Started = { handlers: [] };
  cpuMs = 0;
  heapBytes = 0;
  /** Whether something may have changed the state since the last snapshot. */
  dirty = false;
  /** Without the message that starts it: source and state are the cell's from then on. */
  readonly #options: Omit<InstanceOptions, "start">;
  /** Answers with a body that the guest waits for. */
  readonly answers = new Answers({
    answer: (id, text) => this.answer(id, text),
    body: (id, bytes) => this.#send(TO_CELL.answerBody, id, bytes),
  });
  readonly #slot: number;
  readonly #inHand = new InHand();
  readonly #barrier: Barrier;
  readonly #settling: Settling;
  readonly #stateTalk: StateTalk;
  readonly #frames: SlotFrames;
  readonly #starting = Promise.withResolvers<Started>();
  readonly #exit = Promise.withResolvers<ExitReason>();
  /** What the readers of responses hear that do not end before the instance. */
  #cutOff = new SoloError("service_crashed", "The service ended before its response did.");
  #ready = false;
  #ended = false;
  /** Why the kernel ends it although nobody asked. */
  #condemned: Condemned | undefined;
  #stopping: string | undefined;
  #dropTimer: NodeJS.Timeout | undefined;

  private constructor({ start, ...options }: InstanceOptions) {
    this.#options = options;
    this.id = options.id;
    this.cell = options.cell;
    this.durable = start.durable;
    this.exited = this.#exit.promise;
    const { durable: isDurable, stateBytes } = start;
    const { state, redact, room, settled } = options.events;
    this.#barrier = new Barrier({ isDurable, save: (text) => state(this, text) });
    this.#stateTalk = new StateTalk({
      isDurable,
      redact,
      send: (kind, id, payload) => this.#send(kind, id, payload),
      store: (text) => this.#barrier.store(text),
    });
    this.#settling = new Settling({
      inHand: this.#inHand,
      barrier: this.#barrier,
      now: options.now,
      redact,
      room: () => room(this),
      settled: (tookMs, failed) => settled(this, tookMs, failed),
    });
    this.#frames = new SlotFrames({ stateBytes, redact, hearer: this.#hearer() });
    this.#slot = options.cell.attach(this);
  }

  /** Resolves once `init` has run; rejects with an InstanceCrash when it does not get there. */
  static async start(options: InstanceOptions, signal: AbortSignal): Promise<Instance> {
    const instance = new Instance(options);
    const { cell, start } = options;
    cell.send(TO_CELL.start, instance.#slot, 0, JSON.stringify(start));
    cell.flush();
    const abandon = () => instance.kill();
    signal.addEventListener("abort", abandon, { once: true });
    try {
      // The cell keeps the startup timeout; this one is for a cell that does not.
      const ms = start.startupTimeoutMs + STARTUP_GRACE_MS;
      instance.started = await within(instance.#starting.promise, {
        ms,
        what: "the service to start",
        code: "startup_timeout",
      });
      return instance;
    } catch (error) {
      if (error instanceof SoloError) cell.kill("a start in it did not end");
      throw error;
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  get busy(): boolean {
    return this.#inHand.count > 0 || !this.#ready;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** The kernel has decided to end it for what it did. */
  get overdue(): boolean {
    return this.#condemned !== undefined;
  }

  /** Nothing is at hand, and no response's body flows. */
  get idle(): boolean {
    return !this.busy && !this.#ended && this.#stopping === undefined && this.#inHand.isEmpty;
  }

  /** Monotonic ms of the last sign that the instance gets on with its work. */
  get progressAt(): number {
    return this.#settling.progressAt;
  }

  get openCount(): number {
    return this.#inHand.count;
  }

  /** What is in hand and not given up by its sender. */
  get awaitedCount(): number {
    return this.#inHand.awaited;
  }

  /** The oldest one-way message that waits behind the one at hand. */
  get oldestWaiting(): Dispatch | undefined {
    return this.#inHand.oldestWaiting;
  }

  /** Calls and casts that are in hand: what is not a request for a response. */
  get openMessages(): number {
    return this.#inHand.messages;
  }

  /** What it said about the states of an adoption that asked for it. */
  get shapes(): StateShapes | undefined {
    return this.#stateTalk.shapes;
  }

  get hasRoom(): boolean {
    return !this.#ended && this.#stopping === undefined && this.#inHand.hasRoom;
  }

  /** Gives the instance a message; there must be room. */
  dispatch(dispatch: Dispatch): void {
    dispatch.holder = this;
    dispatch.sentAt = this.#options.now();
    if (this.#inHand.count === 0) this.#settling.progressAt = dispatch.sentAt;
    const id = this.#inHand.take(dispatch);
    this.dirty = true;
    this.#send(FRAME_OF[dispatch.kind], id, dispatch.payload);
    dispatch.bodies?.sent(
      (bytes) => this.#send(TO_CELL.body, id, bytes),
      (bytes) => this.#send(TO_CELL.credit, id, String(bytes)),
    );
  }

  /** The sender of a dispatch is gone; the guest is told and may stop early. */
  cancel(dispatch: Dispatch): void {
    if (this.#inHand.giveUp(dispatch)) this.#send(TO_CELL.cancel, dispatch.id);
  }

  answer(id: number, text: string): void {
    this.#frames.answered(id);
    this.#send(TO_CELL.answer, id, text);
  }

  /** The present state, encoded; undefined when there is none as it was wished for. */
  snapshot(wish: SnapshotWish): Promise<string | undefined> {
    if (this.#ended) return Promise.reject(gone());
    if (wish === "changed") this.dirty = false;
    return this.#stateTalk.ask(wish);
  }

  /** Has an instance that was started for it take a state over; resolves with what it made of it. */
  async adopt(adoption: Adoption): Promise<string> {
    if (this.#ended) throw gone();
    const adopted = this.#stateTalk.adopt(adoption);
    this.cell.flush();
    try {
      // The cell keeps the time limit; this one is for a cell that does not.
      return await within(adopted, {
        ms: adoption.timeoutMs + STARTUP_GRACE_MS,
        what: "the state to be taken over",
        code: "startup_timeout",
      });
    } catch (error) {
      if (error instanceof SoloError) this.cell.kill("a hand-over in it did not end");
      throw error;
    }
  }

  /** Resolves when something in hand has ended, or the instance has. */
  headway(): Promise<void> {
    return this.#ended ? Promise.resolve() : this.#inHand.headway();
  }

  /** Lets what is in hand end for so long; what is still open then is cut off with `why`. */
  async finish(timeoutMs: number, why: SoloError): Promise<void> {
    this.#stopping ??= "kill";
    this.#cutOff = why;
    const deadline = this.#options.now() + timeoutMs;
    while (!this.#ended && !this.#inHand.isEmpty) {
      const left = deadline - this.#options.now();
      if (left <= 0) break;
      await settledWithin([this.headway()], left);
    }
    this.kill();
  }

  async stop({ timeoutMs }: StopOptions): Promise<void> {
    if (this.#stopping === undefined && !this.#ended) {
      this.#stopping = "stop";
      this.#send(TO_CELL.stop, 0, "stop");
    }
    if (timeoutMs === "infinity") await this.exited;
    else await within(this.exited, { ms: timeoutMs, what: "the service to terminate" });
  }

  kill(): void {
    if (this.#ended) return;
    this.#stopping ??= "kill";
    this.#send(TO_CELL.drop, 0);
    this.cell.flush();
    this.#end(down("dropped", "It was killed."));
  }

  /** Ends an instance that holds a thread for too long; the cell too, if it cannot. */
  endOverdue(message: string): void {
    this.#condemn({ reason: "timeout", message });
  }

  /** Ends an instance that passed a limit whose action is kill. */
  overLimit(message: string): void {
    this.#condemn({ reason: "limit", message });
  }

  overMemory(message: string): void {
    this.#condemn({ reason: "memory", message });
  }

  /** Nothing of the guest runs for so long; that is no lack of headway. */
  pause(ms: number): void {
    this.#settling.progressAt = Math.max(this.progressAt, this.#options.now() + ms);
    this.#send(TO_CELL.pause, 0, String(ms));
  }

  /** How long the message at hand has been handled. */
  get workingMs(): number {
    return this.#inHand.count === 0 ? 0 : Math.max(0, this.#options.now() - this.progressAt);
  }

  #condemn(why: Condemned): void {
    if (this.#ended || this.#dropTimer !== undefined) return;
    const { message } = why;
    this.#condemned = why;
    this.#send(TO_CELL.drop, 0);
    this.#dropTimer = setTimeout(() => this.cell.kill(message), DROP_GRACE_MS);
  }

  charged(cpuMs: number): void {
    this.cpuMs += cpuMs;
  }

  measured(heapBytes: number): void {
    this.heapBytes = heapBytes;
  }

  cellGone({ why, outOfMemory, blame }: CellEnd & { readonly blame: Blame }): void {
    const reason = outOfMemory && blame !== "innocent" ? "memory" : "cell";
    const report =
      this.#condemned === undefined
        ? down(reason, `The process around it ended: ${why}.`)
        : down(this.#condemned.reason, this.#condemned.message);
    this.#end(report, { blame, withCell: true });
  }

  frame(kind: number, id: number, payload: Buffer): void {
    this.#frames.read(kind, id, payload);
  }

  #hearer(): SlotHearer {
    const { events } = this.#options;
    return {
      started: (started) => {
        this.#ready = true;
        this.#starting.resolve(started);
      },
      replied: (id, json) => this.#settling.replied(id, json),
      refused: (id, error) => this.#settling.refused(id, error),
      responded: (id, head) => this.#settling.responded(id, head),
      body: (id, chunk) => this.#inHand.body(id, chunk),
      bodyFailed: (id) => this.#inHand.bodyFailed(id),
      credit: (id, bytes) => this.#inHand.credit(id, bytes),
      answerCredit: (id, bytes) => this.answers.credit(id, bytes),
      requested: (id, { method, args }) => events.request(this, id, method, args),
      logged: (line) => events.log(this, line),
      told: (id, state) => this.#stateTalk.told(id, state),
      toldNone: (id, problem) => this.#stateTalk.toldNone(id, problem),
      adopted: (state) => this.#stateTalk.adopted(state),
      shapes: (shapes) => void (this.#stateTalk.shapes = shapes),
      exceeded: (excess) => events.exceeded(this, excess),
      ended: (report) => this.#end(report),
      broken: (why) => this.cell.kill(why),
    };
  }

  #send(kind: number, id: number, payload?: string | Uint8Array): void {
    if (!this.#ended) this.cell.send(kind, this.#slot, id, payload);
  }

  #end(report: Down, fault: Fault = ITS_OWN): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#dropTimer);
    if (report.ranMs !== undefined) this.cell.settle(this.#slot, report.ranMs);
    this.cell.detach(this.#slot);
    const reason =
      this.#condemned !== undefined && report.reason === "dropped"
        ? this.#condemned.reason
        : report.reason;
    const ended = {
      ...report,
      reason,
      ...(this.#condemned !== undefined && { message: this.#condemned.message }),
    };
    const { back, handlers } = this.#inHand.end(ended, this.#cutOff);
    this.answers.end(gone());
    const crash = new InstanceCrash(ended, { ...fault, handlers });
    this.#stateTalk.end({ asked: gone(), adopting: crash });
    this.#starting.promise.catch(() => {});
    this.#starting.reject(crash);
    this.#inHand.tellHeadway();
    this.#options.events.handBack(this, back);
    // The state it sent last is part of its end: nobody may start from an older one.
    this.#barrier.afterwards(() => this.#exit.resolve(exitOf(ended.reason, crash)));
  }
}
