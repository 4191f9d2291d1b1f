/**
 * The kernel's end of one cell: a process, a socket, and the slots on it.
 *
 * 1. The tenant is known from here, never from what the cell says.
 * 2. A frame that is not of the protocol ends the cell: it cannot be trusted any more.
 * 3. When the cell ends, every slot hears of it once, with whether it may be to blame.
 */
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import { decideBlame, type Accused, type Blame } from "#kernel/cells/blame.ts";
import { CpuSplit, type RunTime } from "#kernel/cells/cpu-split.ts";
import type { CellProcess } from "#kernel/cells/launcher.ts";
import { Silence } from "#kernel/cells/silence.ts";
import { FrameReader, FrameWriter, type Frame } from "#wire/frame.ts";
import { mayBeSoLong, readHeartbeat } from "#wire/from-cell.ts";
import { FROM_CELL, type Heartbeat } from "#wire/messages.ts";

/** How a cell ended. */
export interface CellEnd {
  readonly why: string;
  /** It passed the memory limit of a cell. */
  readonly outOfMemory: boolean;
  /** Somebody who is neither the kernel nor in the cell ended it. */
  readonly fromOutside: boolean;
}

export interface SlotHandler extends Accused {
  frame(kind: number, id: number, payload: Buffer): void;
  cellGone(end: CellEnd & { readonly blame: Blame }): void;
  /** CPU time that it has used since the last call, ms. */
  charged(cpuMs: number): void;
  measured(heapBytes: number): void;
}

const BACKLOG_LIMIT_BYTES = 64 * 1024 * 1024;
/** How long what one cell says may keep the kernel's thread before others have a turn. */
const TURN_MS = 3;
const PIECE_BYTES = 4096;
const MEMORY_PASSED = "it passed its memory limit";

export class Cell {
  readonly process: CellProcess;
  /** Set when the cell is given to a tenant, for good. */
  tenant: TenantId | undefined;
  /** It serves one instance and ends with it. */
  dedicated = false;
  readonly ready: Promise<void>;
  readonly gone: Promise<CellEnd>;
  readonly #slots = new Map<number, SlotHandler>();
  readonly #cpu = new CpuSplit();
  readonly #writer: FrameWriter;
  readonly #clock: Clock;
  #nextSlot = 1;
  /** From its first word on: who makes a cell has a deadline of its own for that. */
  #isReady = false;
  readonly #silence = new Silence();
  #end: CellEnd | undefined;
  #isGone = false;

  constructor(options: { process: CellProcess; clock: Clock }) {
    this.process = options.process;
    this.#clock = options.clock;
    const { socket } = options.process;
    this.#writer = new FrameWriter(socket);
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    const reader = new FrameReader((frame) => {
      if (frame.kind === FROM_CELL.ready) {
        this.#isReady = true;
        ready.resolve();
      } else this.#receive(frame);
    });
    socket.on("data", (chunk: Buffer) => this.#read(reader, chunk));
    this.gone = options.process.exited.then(({ how, outOfMemory }) => {
      this.#isGone = true;
      const end = this.#end ?? this.#endedByItself(how, outOfMemory);
      ready.reject(
        new SoloError("unavailable", `The process for the service did not start: ${end.why}.`),
      );
      this.#end = end;
      this.#endSlots(end);
      return end;
    });
    this.ready.catch(() => {});
  }

  get isGone(): boolean {
    return this.#isGone || this.#end !== undefined;
  }

  get size(): number {
    return this.#slots.size;
  }

  attach(handler: SlotHandler): number {
    const slot = this.#nextSlot;
    this.#nextSlot += 1;
    const end = this.#end;
    // A cell may end between its choice and this: it must not be waited for.
    if (this.#isGone && end !== undefined)
      queueMicrotask(() => handler.cellGone({ ...end, blame: "innocent" }));
    else this.#slots.set(slot, handler);
    return slot;
  }

  detach(slot: number): void {
    this.#cpu.forget(slot);
    this.#slots.delete(slot);
  }

  send(kind: number, slot: number, id: number, payload?: string | Uint8Array): void {
    if (this.isGone) return;
    this.#writer.send(kind, slot, id, payload);
    if (this.#writer.backlogBytes > BACKLOG_LIMIT_BYTES) this.kill("it does not read");
  }

  /** Writes what was sent in this turn now: a start should not wait for the turn's end. */
  flush(): void {
    this.#writer.flush();
  }

  kill(why: string): void {
    this.#kill({ why, outOfMemory: false, fromOutside: false });
  }

  /** It holds more than it may, and nobody else ends it. */
  passedMemory(): void {
    this.#kill({ why: MEMORY_PASSED, outOfMemory: true, fromOutside: false });
  }

  /** Called by the pool every CHECK_MS. */
  checkHeartbeat(): void {
    if (!this.#isReady) return;
    if (this.#silence.check(() => this.process.mainThread())) this.kill("it stopped answering");
  }

  /** Where the operating system tells its own kills for memory apart, any other SIGKILL was sent. */
  #endedByItself(how: string, outOfMemory: boolean): CellEnd {
    if (outOfMemory) return { why: MEMORY_PASSED, outOfMemory, fromOutside: false };
    const sent = how === "SIGKILL" && this.process.holdsMemoryLimit;
    const why = sent ? "somebody outside Solo killed it" : how;
    return { why, outOfMemory, fromOutside: sent };
  }

  #kill(end: CellEnd): void {
    if (this.#isGone) return;
    this.#end ??= end;
    this.process.kill();
  }

  /** Reads for TURN_MS at most; what is left comes after everybody else's turn. */
  #read(reader: FrameReader, chunk: Buffer): void {
    const { socket } = this.process;
    const begun = this.#clock.now();
    this.#silence.end();
    for (let at = 0; at < chunk.length && this.#end === undefined; at += PIECE_BYTES) {
      if (this.#clock.now() - begun > TURN_MS) {
        socket.pause();
        setImmediate(() => {
          socket.resume();
          this.#read(reader, chunk.subarray(at));
        });
        return;
      }
      if (!reader.push(chunk.subarray(at, at + PIECE_BYTES)))
        this.kill("it sent a malformed frame");
    }
  }

  #receive({ kind, slot, id, payload }: Frame): void {
    if (!mayBeSoLong(kind, payload.length))
      return this.kill("it sent a frame longer than its kind may be");
    if (kind === FROM_CELL.heartbeat) return this.#heartbeat(payload);
    this.#slots.get(slot)?.frame(kind, id, payload);
  }

  #heartbeat(payload: Buffer): void {
    let beats: Heartbeat["instances"];
    try {
      beats = readHeartbeat(payload.toString()).filter(({ slot }) => this.#slots.has(slot));
    } catch {
      return this.kill("it sent a malformed heartbeat");
    }
    this.#charge(beats);
    for (const { slot, heapBytes } of beats) {
      if (heapBytes !== undefined) this.#slots.get(slot)?.measured(heapBytes);
    }
  }

  /** An instance ends: what it has used since the last heartbeat is charged to it. */
  settle(slot: number, ranMs: number): void {
    this.#charge([{ slot, ranMs }]);
  }

  #charge(times: readonly RunTime[]): void {
    for (const [slot, cpuMs] of this.#cpu.charge(times, this.process.cpuMs())) {
      this.#slots.get(slot)?.charged(cpuMs);
    }
  }

  #endSlots(end: CellEnd): void {
    const handlers = [...this.#slots.values()];
    this.#slots.clear();
    const blames = decideBlame(handlers, end);
    for (const [at, handler] of handlers.entries()) {
      handler.cellGone({ ...end, blame: blames[at]! });
    }
  }
}
