/**
 * One running copy of a service, as the kernel sees it: a slot on a cell.
 *
 * 1. Its end is reported once; every dispatch it had been given has an outcome then, or is
 *    handed back because it had not begun.
 * 2. In durable mode a reply leaves only after the state it is based on is on disk.
 * 3. What the cell says is checked: unknown ids are ignored, floods end the cell.
 */
import { within } from "#base/deadline.ts";
import { SoloError } from "#base/errors.ts";
import type { InstanceId } from "#base/ids.ts";
import type { Child, ExitReason, StopOptions } from "#supervisor/child.ts";
import type { Blame } from "#kernel/cells/blame.ts";
import { settledWithin } from "#supervisor/effort.ts";
import type { Cell, CellEnd, SlotHandler } from "#kernel/cells/cell.ts";
import { Answers } from "#kernel/services/answers.ts";
import { Asked } from "#kernel/services/asked.ts";
import { Barrier } from "#kernel/services/barrier.ts";
import { FRAME_OF, type Dispatch } from "#kernel/services/dispatch.ts";
import { InHand } from "#kernel/services/in-hand.ts";
import {
  down,
  exitOf,
  gone,
  InstanceCrash,
  type Fault,
  refusalFrom,
} from "#kernel/services/outcomes.ts";
import { StateTalk } from "#kernel/services/state-talk.ts";
import {
  readDown,
  readHead,
  readLogLine,
  readRequest,
  readShapes,
  readStarted,
} from "#wire/from-cell.ts";
import {
  FROM_CELL,
  TO_CELL,
  type Adoption,
  type Down,
  type LogLine,
  type ResponseHead,
  type SnapshotWish,
  type StartInstance,
  type Started,
  type StateShapes,
} from "#wire/messages.ts";

export interface InstanceEvents {
  readonly request: (instance: Instance, id: number, method: string, args: unknown[]) => void;
  readonly log: (instance: Instance, line: LogLine) => void;
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
  /** Monotonic ms of the last sign that the instance gets on with its work. */
  progressAt: number;
  /** Without the message that starts it: source and state are the cell's from then on. */
  readonly #options: Omit<InstanceOptions, "start">;
  readonly #stateBytes: number;
  /** Answers with a body that the guest waits for. */
  readonly answers = new Answers({
    answer: (id, text) => this.answer(id, text),
    body: (id, bytes) => this.#send(TO_CELL.answerBody, id, bytes),
  });
  readonly #slot: number;
  readonly #inHand = new InHand();
  readonly #asked = new Asked();
  readonly #barrier: Barrier;
  readonly #stateTalk: StateTalk;
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
    this.#stateBytes = start.stateBytes;
    this.id = options.id;
    this.cell = options.cell;
    this.durable = start.durable;
    this.exited = this.#exit.promise;
    this.progressAt = options.now();
    const { durable: isDurable } = start;
    const { state, redact } = options.events;
    this.#barrier = new Barrier({ isDurable, save: (text) => state(this, text) });
    this.#stateTalk = new StateTalk({
      isDurable,
      redact,
      send: (kind, id, payload) => this.#send(kind, id, payload),
      store: (text) => this.#barrier.store(text),
    });
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

  /** The kernel has decided to end it for what it did. */
  get overdue(): boolean {
    return this.#condemned !== undefined;
  }

  /** Nothing is at hand, and no response's body flows. */
  get idle(): boolean {
    return !this.busy && !this.#ended && this.#stopping === undefined && this.#inHand.isEmpty;
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
    if (this.#inHand.count === 0) this.progressAt = dispatch.sentAt;
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
    this.#asked.answered(id);
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
    this.progressAt = Math.max(this.progressAt, this.#options.now() + ms);
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
    switch (kind) {
      case FROM_CELL.reply:
        return this.#replied(id, payload.toString());
      case FROM_CELL.failed:
        return this.#refused(id, payload.toString());
      case FROM_CELL.head:
        return this.#answered(id, payload.toString());
      case FROM_CELL.body:
        return this.#inHand.body(id, payload);
      case FROM_CELL.bodyFailed:
        return this.#inHand.bodyFailed(id);
      case FROM_CELL.credit:
        return this.#inHand.credit(id, Number(payload.toString()) || 0);
      case FROM_CELL.answerCredit:
        return this.answers.credit(id, Number(payload.toString()) || 0);
      case FROM_CELL.unchanged:
        return this.#stateTalk.toldNone(id, payload.toString());
      case FROM_CELL.state:
      case FROM_CELL.adopted: {
        if (payload.length > this.#stateBytes) {
          return this.cell.kill("it sent more state than it may keep");
        }
        const state = payload.toString();
        if (kind === FROM_CELL.adopted) return this.#stateTalk.adopted(state);
        return this.#stateTalk.told(id, state);
      }
      case FROM_CELL.started:
        if (this.#ready) return this.cell.kill("it started twice");
        return this.#untrusted(kind, id, payload.toString());
      case FROM_CELL.request:
        if (!this.#asked.begin(id, payload.length)) {
          return this.cell.kill("it asked for more at once than its window");
        }
        return this.#untrusted(kind, id, payload.toString());
      default:
        return this.#untrusted(kind, id, payload.toString());
    }
  }

  /** Frames with JSON in them: what is not of its kind ends the cell. */
  #untrusted(kind: number, id: number, text: string): void {
    let act: (() => void) | undefined;
    try {
      act = this.#read(kind, id, text);
    } catch {
      return this.cell.kill("it sent a malformed message");
    }
    if (act === undefined) this.cell.kill("it sent a frame of no known kind");
    else act();
  }

  /** What the frame asks for, read whole before anything of it is done. */
  #read(kind: number, id: number, text: string): (() => void) | undefined {
    const { events } = this.#options;
    switch (kind) {
      case FROM_CELL.request: {
        const { method, args } = readRequest(text);
        return () => events.request(this, id, method, args);
      }
      case FROM_CELL.log: {
        const { level, text: said } = readLogLine(text);
        const line = { level, text: events.redact(said) };
        return () => events.log(this, line);
      }
      case FROM_CELL.started: {
        const started = readStarted(text);
        return () => {
          this.#ready = true;
          this.#starting.resolve(started);
        };
      }
      case FROM_CELL.shapes: {
        const shapes = readShapes(text);
        return () => void (this.#stateTalk.shapes = shapes);
      }
      case FROM_CELL.down: {
        const told = readDown(text);
        const { name, message, stack } = told;
        const report = { ...told, ...events.redact({ name, message, stack }) };
        return () => this.#end(report);
      }
      default:
        return undefined;
    }
  }

  #send(kind: number, id: number, payload?: string | Uint8Array): void {
    if (!this.#ended) this.cell.send(kind, this.#slot, id, payload);
  }

  // What is settled may have to wait for the disk, and a frame's bytes are not its own for so
  // long: it is text by then.

  #replied(id: number, json: string): void {
    this.#settle(id, (dispatch) => {
      dispatch.reply(json);
      return true;
    });
  }

  #refused(id: number, text: string): void {
    this.#settle(id, (dispatch) => {
      dispatch.fail(refusalFrom(text, this.#options.events.redact));
      return false;
    });
  }

  #answered(id: number, text: string): void {
    const asked = this.#inHand.find(id);
    if (asked !== undefined) this.#inHand.beginBody(id, asked);
    this.#settle(id, (dispatch) => {
      const head = responded(dispatch, text);
      if (head?.body !== true) this.#inHand.dropBody(id);
      return (head?.status ?? 500) < 500;
    });
  }

  /** `act`: ends the dispatch; says whether it went as its sender hoped. */
  #settle(id: number, act: (dispatch: Dispatch) => boolean): void {
    const dispatch = this.#inHand.find(id);
    if (dispatch === undefined) return;
    this.#barrier.pass(
      () => {
        // A message that was given up while it waited is no headway of the one at hand.
        if (this.#inHand.isFirst(id) || !dispatch.settled) this.progressAt = this.#options.now();
        // One that was given up before it ended was too slow for somebody.
        const inTime = !dispatch.settled;
        const well = act(dispatch);
        this.#close(id, dispatch, well && inTime);
        this.#options.events.room(this);
      },
      (error) => {
        this.#close(id, dispatch, false);
        this.#inHand.dropBody(id);
        dispatch.fail(notStored(error));
        this.#options.events.room(this);
      },
    );
  }

  #close(id: number, dispatch: Dispatch, well: boolean): void {
    if (!this.#inHand.close(id, dispatch)) return;
    const { events, now } = this.#options;
    events.settled(this, now() - dispatch.sentAt, !well);
    this.#inHand.tellHeadway();
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

/** Passes the head on; undefined when it is none. */
function responded(dispatch: Dispatch, text: string): ResponseHead | undefined {
  let head: ResponseHead;
  try {
    head = readHead(text);
  } catch {
    dispatch.fail(new SoloError("service_error", "The service's response is malformed."));
    return undefined;
  }
  dispatch.bodies?.responded(head);
  dispatch.reply("");
  return head;
}

const notStored = (error: unknown): SoloError =>
  error instanceof SoloError
    ? error
    : new SoloError("unavailable", "The state could not be stored.", { cause: error });
