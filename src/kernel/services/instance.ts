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
import { FRAME_OF, type Dispatch } from "#kernel/services/dispatch.ts";
import {
  down,
  exitOf,
  gone,
  InstanceCrash,
  type Fault,
  outcomeOf,
  refusalFrom,
} from "#kernel/services/outcomes.ts";
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

/** Dispatches an instance may be given ahead of the one it handles. */
const WINDOW = 64;
/** One more is given while what it has been given holds less than this. */
const WINDOW_CHARS = 8 * 1024 * 1024;
/** After `drop`, the cell has this long to report the end before it is killed. */
const DROP_GRACE_MS = 125;
const ITS_OWN: Fault = { blame: "culprit", withCell: false };
const STARTUP_GRACE_MS = 1000;

interface Asked {
  readonly wish: SnapshotWish;
  resolve(state: string | undefined): void;
  reject(error: unknown): void;
}

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
  readonly #options: InstanceOptions;
  /** Answers with a body that the guest waits for. */
  readonly answers = new Answers({
    answer: (id, text) => this.answer(id, text),
    body: (id, bytes) => this.#send(TO_CELL.answerBody, id, bytes),
  });
  readonly #slot: number;
  readonly #open = new Map<number, Dispatch>();
  #openChars = 0;
  /** Fetches whose head is out and whose bodies still flow. */
  readonly #streaming = new Map<number, Dispatch>();
  readonly #starting = Promise.withResolvers<Started>();
  readonly #exit = Promise.withResolvers<ExitReason>();
  /** Requests for the state, by id. */
  readonly #asked = new Map<number, Asked>();
  #lastAsked = 0;
  readonly #adopting = Promise.withResolvers<string>();
  #shapes: StateShapes | undefined;
  #quiet: PromiseWithResolvers<void> | undefined;
  /** The last state that the guest sent by itself, on its way to disk. */
  #barrier: Promise<void> | undefined;
  /** A state that could not be stored: nothing is acknowledged before it is. */
  #unsaved: string | undefined;
  /** What the readers of responses hear that do not end before the instance. */
  #cutOff = new SoloError("service_crashed", "The service ended before its response did.");
  #nextId = 1;
  #ready = false;
  #ended = false;
  /** Why the kernel ends it although nobody asked. */
  #condemned: Condemned | undefined;
  #stopping: string | undefined;
  #dropTimer: NodeJS.Timeout | undefined;

  private constructor(options: InstanceOptions) {
    this.#options = options;
    this.id = options.id;
    this.cell = options.cell;
    this.durable = options.start.durable;
    this.exited = this.#exit.promise;
    this.progressAt = options.now();
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
    return this.#open.size > 0 || !this.#ready;
  }

  /** The kernel has decided to end it for what it did. */
  get overdue(): boolean {
    return this.#condemned !== undefined;
  }

  /** Nothing is at hand, and no response's body flows. */
  get idle(): boolean {
    return !this.busy && !this.#ended && this.#stopping === undefined && this.#streaming.size === 0;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** The oldest one-way message that waits behind the one at hand. */
  get oldestWaiting(): Dispatch | undefined {
    const [, ...waiting] = this.#open.values();
    return waiting.find(({ kind, settled }) => !settled && (kind === "cast" || kind === "info"));
  }

  /** Nothing is in hand, not even the rest of a response. */
  get isQuiet(): boolean {
    return this.#open.size === 0 && this.#streaming.size === 0;
  }

  /** Calls and casts that are in hand: what is not a request for a response. */
  get openMessages(): number {
    let count = 0;
    for (const { kind } of this.#open.values()) if (kind !== "fetch") count += 1;
    return count;
  }

  /** What it said about the states of an adoption that asked for it. */
  get shapes(): StateShapes | undefined {
    return this.#shapes;
  }

  get hasRoom(): boolean {
    if (this.#ended || this.#stopping !== undefined) return false;
    return this.#open.size < WINDOW && this.#openChars < WINDOW_CHARS;
  }

  /** Gives the instance a message; there must be room. */
  dispatch(dispatch: Dispatch): void {
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_fff0) + 1;
    dispatch.id = id;
    dispatch.holder = this;
    dispatch.sentAt = this.#options.now();
    if (this.#open.size === 0) this.progressAt = dispatch.sentAt;
    this.#open.set(id, dispatch);
    this.#openChars += dispatch.chars;
    this.dirty = true;
    this.#send(FRAME_OF[dispatch.kind], id, dispatch.payload);
    dispatch.bodies?.sent(
      (bytes) => this.#send(TO_CELL.body, id, bytes),
      (bytes) => this.#send(TO_CELL.credit, id, String(bytes)),
    );
  }

  /** The sender of a dispatch is gone; the guest is told and may stop early. */
  cancel(dispatch: Dispatch): void {
    if (this.#open.has(dispatch.id) || this.#streaming.delete(dispatch.id)) {
      this.#send(TO_CELL.cancel, dispatch.id);
    }
  }

  answer(id: number, text: string): void {
    this.#send(TO_CELL.answer, id, text);
  }

  /** The present state, encoded; undefined when there is none as it was wished for. */
  snapshot(wish: SnapshotWish): Promise<string | undefined> {
    if (this.#ended) return Promise.reject(gone());
    if (wish === "changed") this.dirty = false;
    const id = (this.#lastAsked = (this.#lastAsked % 0xffff_fff0) + 1);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { wish, resolve, reject });
      this.#send(TO_CELL.snapshot, id, wish);
    });
  }

  /** Has an instance that was started for it take a state over; resolves with what it made of it. */
  async adopt(adoption: Adoption): Promise<string> {
    if (this.#ended) throw gone();
    this.#send(TO_CELL.adopt, 0, JSON.stringify(adoption));
    this.cell.flush();
    try {
      // The cell keeps the time limit; this one is for a cell that does not.
      return await within(this.#adopting.promise, {
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
    if (this.#ended) return Promise.resolve();
    this.#quiet ??= Promise.withResolvers();
    return this.#quiet.promise;
  }

  /** Lets what is in hand end for so long; what is still open then is cut off with `why`. */
  async finish(timeoutMs: number, why: SoloError): Promise<void> {
    this.#stopping ??= "kill";
    this.#cutOff = why;
    const deadline = this.#options.now() + timeoutMs;
    while (!this.#ended && !this.isQuiet) {
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
    return this.#open.size === 0 ? 0 : Math.max(0, this.#options.now() - this.progressAt);
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
        return this.#settle(id, (dispatch, text) => replied(dispatch, text), payload.toString());
      case FROM_CELL.failed:
        return this.#settle(
          id,
          (dispatch, text) => {
            dispatch.fail(refusalFrom(text, this.#options.events.redact));
            return false;
          },
          payload.toString(),
        );
      case FROM_CELL.head: {
        const dispatch = this.#open.get(id);
        if (dispatch !== undefined) this.#streaming.set(id, dispatch);
        const answered = (each: Dispatch, text: string): boolean => {
          const head = responded(each, text);
          if (head?.body !== true) this.#streaming.delete(id);
          return (head?.status ?? 500) < 500;
        };
        return this.#settle(id, answered, payload.toString());
      }
      case FROM_CELL.body: {
        const dispatch = this.#streaming.get(id);
        if (payload.length > 0) return dispatch?.bodies?.chunk(Buffer.from(payload));
        this.#streaming.delete(id);
        this.#tellHeadway();
        return dispatch?.bodies?.ended();
      }
      case FROM_CELL.bodyFailed:
        this.#streaming
          .get(id)
          ?.bodies?.broke(new SoloError("service_error", "The service's response broke off."));
        this.#streaming.delete(id);
        return this.#tellHeadway();
      case FROM_CELL.credit: {
        const dispatch = this.#open.get(id) ?? this.#streaming.get(id);
        return dispatch?.bodies?.credit(Number(payload.toString()) || 0);
      }
      case FROM_CELL.answerCredit:
        return this.answers.credit(id, Number(payload.toString()) || 0);
      case FROM_CELL.state:
        if (payload.length > this.#options.start.stateBytes) {
          return this.cell.kill("it sent more state than it may keep");
        }
        return this.#stateArrived(id, payload.toString());
      case FROM_CELL.unchanged: {
        const asked = this.#asked.get(id);
        this.#asked.delete(id);
        if (payload.length === 0) return asked?.resolve(undefined);
        return asked?.reject(refusalFrom(payload.toString(), this.#options.events.redact));
      }
      case FROM_CELL.adopted:
        if (payload.length > this.#options.start.stateBytes) {
          return this.cell.kill("it sent more state than it may keep");
        }
        return this.#adopting.resolve(payload.toString());
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
        return () => void (this.#shapes = shapes);
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

  /** `act`: ends the dispatch; says whether it went as its sender hoped. */
  #settle(id: number, act: (dispatch: Dispatch, text: string) => boolean, text: string): void {
    const dispatch = this.#open.get(id);
    if (dispatch === undefined) return;
    if (this.#unsaved !== undefined && this.durable) this.#store(this.#unsaved);
    const barrier = this.#barrier;
    const done = () => {
      // A message that was given up while it waited is no headway of the one at hand.
      const [atHand] = this.#open.keys();
      if (id === atHand || !dispatch.settled) this.progressAt = this.#options.now();
      // One that was given up before it ended was too slow for somebody.
      const inTime = !dispatch.settled;
      const well = act(dispatch, text);
      this.#close(id, dispatch, well && inTime);
      this.#options.events.room(this);
    };
    if (barrier === undefined) done();
    else {
      barrier.then(done, (error: unknown) => {
        this.#close(id, dispatch, false);
        this.#streaming.delete(id);
        dispatch.fail(
          error instanceof SoloError
            ? error
            : new SoloError("unavailable", "The state could not be stored.", { cause: error }),
        );
        this.#options.events.room(this);
      });
    }
  }

  #close(id: number, { chars, sentAt }: Dispatch, well: boolean): void {
    if (!this.#open.delete(id)) return;
    this.#openChars -= chars;
    const { events, now } = this.#options;
    events.settled(this, now() - sentAt, !well);
    this.#tellHeadway();
  }

  #tellHeadway(): void {
    this.#quiet?.resolve();
    this.#quiet = undefined;
  }

  /** A state that was not asked for is sent because it must be stored. In durable mode the
   *  guest will not tell it again, so that one that was asked for is stored as well. */
  #stateArrived(id: number, state: string): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (id === 0 || (this.durable && asked !== undefined && asked.wish !== "whole")) {
      this.#store(state);
    }
    asked?.resolve(state);
  }

  #store(state: string): void {
    const saved = this.#options.events.state(this, state);
    this.#barrier = saved;
    this.#unsaved = undefined;
    const settled = (unsaved: string | undefined) => () => {
      if (this.#barrier !== saved) return;
      this.#barrier = undefined;
      this.#unsaved = unsaved;
    };
    saved.then(settled(undefined), settled(state));
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
    const unstarted = new Set(report.unstarted);
    const back: Dispatch[] = [];
    const handlers: string[] = [];
    for (const [id, dispatch] of this.#open) {
      if (unstarted.has(id)) {
        dispatch.holder = undefined;
        back.push(dispatch);
      } else {
        handlers.push(dispatch.handler);
        dispatch.fail(outcomeOf(ended, id));
      }
    }
    this.#open.clear();
    for (const { bodies } of this.#streaming.values()) {
      bodies?.broke(this.#cutOff);
    }
    this.#streaming.clear();
    this.answers.end(gone());
    for (const { reject } of this.#asked.values()) reject(gone());
    this.#asked.clear();
    const crash = new InstanceCrash(ended, { ...fault, handlers });
    this.#starting.promise.catch(() => {});
    this.#starting.reject(crash);
    this.#adopting.promise.catch(() => {});
    this.#adopting.reject(crash);
    this.#tellHeadway();
    this.#options.events.handBack(this, back);
    const exit = () => this.#exit.resolve(exitOf(ended.reason, crash));
    // The state it sent last is part of its end: nobody may start from an older one.
    if (this.#barrier === undefined) exit();
    else this.#barrier.then(exit, exit);
  }
}

function replied(dispatch: Dispatch, text: string): boolean {
  dispatch.reply(text);
  return true;
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
