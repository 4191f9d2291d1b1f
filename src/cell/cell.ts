/**
 * A cell: reads the kernel's frames, keeps its instances, sends a heartbeat.
 *
 * 1. The cell decides nothing about tenants, deadlines or restarts; the kernel does.
 * 2. When the socket ends, so does the process.
 */
import type { Duplex } from "node:stream";
import type { Engine } from "#cell/engine.ts";
import { IN } from "#cell/guest/lines.ts";
import { Instance } from "#cell/instance.ts";
import { PoolGate } from "#cell/lanes.ts";
import { FrameReader, FrameWriter, type Frame } from "#wire/frame.ts";
import { FROM_CELL, TO_CELL, type Heartbeat, type StartInstance } from "#wire/messages.ts";

const HEARTBEAT_MS = 250;
/** A start is followed by its first messages: making isolates would stand in their way. */
const REFILL_AFTER_MS = 15;
const REFILL_PAUSE_MS = 2;

export interface CellOptions {
  readonly socket: Duplex;
  readonly engine: Engine;
  readonly answerLocally: (method: string, request: unknown) => Promise<unknown> | undefined;
  /** CPU time of this process, ms. */
  readonly cpuMs: () => number;
  /** CPU time of this thread, ms. */
  readonly threadCpuMs: () => number;
  readonly exit: () => void;
}

export class Cell {
  readonly #options: CellOptions;
  readonly #writer: FrameWriter;
  readonly #instances = new Map<number, Instance>();
  /** What arrived for an instance while its isolate was being made. */
  readonly #starting = new Map<number, Frame[]>();
  readonly #gate = new PoolGate();
  #refilling = false;
  readonly #sampled = new Map<number, number>();

  constructor(options: CellOptions) {
    this.#options = options;
    this.#writer = new FrameWriter(options.socket);
  }

  /** Takes work from now on, until the socket ends. */
  serve(): void {
    const { socket, exit } = this.#options;
    const reader = new FrameReader((frame) => this.#receive(frame));
    socket.on("data", (chunk: Buffer) => {
      if (!reader.push(chunk)) exit();
    });
    socket.on("close", exit);
    socket.on("error", exit);
    setInterval(() => void this.#beat(), HEARTBEAT_MS);
    this.#writer.send(FROM_CELL.ready, 0, 0);
    void this.#refill();
  }

  #receive(frame: Frame): void {
    const { kind, slot } = frame;
    if (kind === TO_CELL.start) {
      this.#starting.set(slot, []);
      void this.#start(slot, JSON.parse(frame.payload.toString()) as StartInstance);
      return;
    }
    const held = this.#starting.get(slot);
    // The payload is a view on the read buffer: what waits needs a copy of its own.
    if (held !== undefined) held.push({ ...frame, payload: Buffer.from(frame.payload) });
    else this.#deliver(frame);
  }

  #deliver({ kind, slot, id, payload }: Frame): void {
    const instance = this.#instances.get(slot);
    if (instance === undefined) return;
    switch (kind) {
      case TO_CELL.call: {
        const rest = payload.toString();
        return instance.post(IN.call, id, rest, `calls.${handlerOf(rest)}`);
      }
      case TO_CELL.cast: {
        const rest = payload.toString();
        return instance.post(IN.cast, id, rest, `casts.${handlerOf(rest)}`);
      }
      case TO_CELL.info:
        return instance.post(IN.info, id, payload.toString(), "info");
      case TO_CELL.fetch:
        return instance.post(IN.fetch, id, payload.toString(), "fetch");
      case TO_CELL.body:
        if (payload.length === 0) return instance.post(IN.end, id);
        return instance.postBytes(IN.chunk, id, Uint8Array.from(payload));
      case TO_CELL.credit:
        return instance.post(IN.credit, id, payload.toString());
      case TO_CELL.cancel:
        return instance.cancel(id);
      case TO_CELL.answer:
        return instance.answer(id, payload[0] === 43, payload.toString("utf8", 1));
      case TO_CELL.answerBody:
        if (payload.length === 0) return instance.post(IN.answerEnd, id);
        return instance.postBytes(IN.answerChunk, id, Uint8Array.from(payload));
      case TO_CELL.stop:
        return instance.stop(payload.toString());
      case TO_CELL.drop:
        return void instance.drop();
      case TO_CELL.pause:
        return instance.pause(Number(payload.toString()));
      case TO_CELL.snapshot:
        return instance.post(IN.snapshot, id, payload.toString());
      case TO_CELL.adopt:
        return instance.adopt(payload.toString());
    }
  }

  async #start(slot: number, start: StartInstance): Promise<void> {
    const guest = await this.#options.engine.create(start);
    const instance = new Instance({
      slot,
      start,
      guest,
      gate: this.#gate,
      answerLocally: this.#options.answerLocally,
      cpuMs: this.#options.cpuMs,
      threadCpuMs: this.#options.threadCpuMs,
      send: (kind, at, id, payload) => this.#writer.send(kind, at, id, payload),
      ended: (at) => {
        this.#instances.delete(at);
        this.#sampled.delete(at);
      },
    });
    this.#instances.set(slot, instance);
    const held = this.#starting.get(slot) ?? [];
    this.#starting.delete(slot);
    const started = instance.start();
    for (const frame of held) this.#deliver(frame);
    await started;
    void this.#refill();
  }

  /** Makes isolates ready for the next starts, one by one, while nothing starts. */
  async #refill(): Promise<void> {
    if (this.#refilling) return;
    this.#refilling = true;
    let pauseMs = REFILL_AFTER_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = REFILL_PAUSE_MS;
    } while (this.#starting.size > 0 || (await this.#options.engine.refill()));
    this.#refilling = false;
  }

  /** Only instances that ran since the last beat are measured: thousands may be idle. The heap
   *  of one that runs cannot be read now. */
  async #beat(): Promise<void> {
    const active: Heartbeat["instances"][number][] = [];
    for (const [slot, instance] of this.#instances) {
      const ranMs = instance.guest.ranMs();
      if (this.#sampled.get(slot) === ranMs) continue;
      if (instance.running) {
        active.push({ slot, ranMs });
        continue;
      }
      // Reading the heap runs in the isolate, so note its time afterwards.
      const heapBytes = await instance.guest.heapBytes().catch(() => 0);
      if (!this.#instances.has(slot)) continue;
      this.#sampled.set(slot, instance.guest.ranMs());
      active.push({ slot, ranMs, heapBytes });
    }
    const beat: Heartbeat = { instances: active };
    this.#writer.send(FROM_CELL.heartbeat, 0, 0, JSON.stringify(beat));
  }
}

/** The handler's name out of `["name",args]`; names are JSON strings, perhaps escaped. */
function handlerOf(rest: string): string {
  const end = rest.indexOf('",', 2);
  return rest.slice(2, end === -1 ? undefined : end);
}
