/**
 * The kernel's end of the compiler process.
 *
 * 1. A source that crashes or stalls the compiler fails its own deploy; requests that only
 *    waited behind it are sent again to the next process.
 * 2. Every request ends within COMPILE_TIMEOUT_MS of its turn.
 * 3. What the compiler answers is checked: an answer that is not of its kind fails its own
 *    deploy, one that nobody asked for fails none, and either ends the process.
 */
import { SoloError, toSoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import {
  FROM_COMPILER,
  TO_COMPILER,
  type CompileRequest,
  type CompileResult,
  type MapStackRequest,
} from "#wire/compiler.ts";
import { readCompileResult, readMappedStack } from "#wire/from-compiler.ts";
import type { CellProcess, Launcher } from "#kernel/cells/launcher.ts";
import { FrameReader, FrameWriter } from "#wire/frame.ts";

const COMPILE_TIMEOUT_MS = 10_000;
const MAX_WAITING = 1000;
const MEMORY_BYTES = 1024 * 1024 * 1024;

interface Job {
  readonly id: number;
  readonly kind: number;
  readonly payload: string;
  /** Throws when the answer is not of its kind. */
  settle(text: string): void;
  reject(error: SoloError): void;
}

interface Running {
  readonly process: CellProcess;
  readonly writer: FrameWriter;
  /** It has come as far as taking work. */
  ready: boolean;
  /** The request that it answered last. */
  answered: number | undefined;
  /** It answered that request again: none of those that wait is to blame. */
  saidTwice: boolean;
}

export class Compiler {
  readonly #launch: Launcher;
  readonly #log: Logger;
  #running: Running | undefined;
  #starting: Promise<void> | undefined;
  /** In the order they were sent: the first is the one at work. */
  #jobs: Job[] = [];
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = true;

  constructor(options: { launch: Launcher; log: Logger }) {
    this.#launch = options.launch;
    this.#log = options.log;
  }

  /** The process starts in the background; requests wait for it. */
  async open(): Promise<void> {
    this.#closed = false;
    this.#start();
  }

  async compile(request: CompileRequest): Promise<CompileResult> {
    return this.#ask(TO_COMPILER.compile, request, (text) => readCompileResult(text, request));
  }

  /** The stack in the agent's source, or as it is when mapping fails: it is a courtesy. */
  async mapStack(request: MapStackRequest): Promise<string> {
    try {
      return await this.#ask(TO_COMPILER.mapStack, request, readMappedStack);
    } catch (error) {
      this.#log.debug("stack not mapped", { error: String(error) });
      return request.stack;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#starting;
    const running = this.#running;
    running?.process.kill();
    await running?.process.exited;
    await running?.process.cleared;
  }

  #ask<T>(
    kind: number,
    request: CompileRequest | MapStackRequest,
    read: (text: string) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(restarting());
      if (this.#jobs.length >= MAX_WAITING) {
        return reject(
          new SoloError("overloaded", `${MAX_WAITING} sources wait to be compiled.`, {
            retryAfterMs: 1000,
          }),
        );
      }
      const id = (this.#lastId = (this.#lastId % 0xffff_fff0) + 1);
      const payload = JSON.stringify(request);
      const settle = (text: string) => resolve(read(text));
      const job: Job = { id, kind, payload, settle, reject };
      this.#jobs.push(job);
      if (this.#running === undefined) return this.#start();
      this.#send(this.#running, job);
      if (this.#jobs.length === 1) this.#watch();
    });
  }

  #start(): void {
    if (this.#running !== undefined) return;
    this.#starting ??= this.#launched().finally(() => (this.#starting = undefined));
  }

  /** Once there is a process, what has been waiting for it is sent. */
  async #launched(): Promise<void> {
    let process: CellProcess;
    try {
      process = await this.#launch({
        program: "compiler",
        args: [],
        memoryBytes: MEMORY_BYTES,
        onStderr: (line) => this.#log.warn("compiler says", { line }),
      });
    } catch (error) {
      this.#log.error("no compiler", { error: String(error) });
      for (const job of this.#jobs.splice(0)) job.reject(toSoloError(error));
      return;
    }
    const writer = new FrameWriter(process.socket);
    const running: Running = {
      process,
      writer,
      ready: false,
      answered: undefined,
      saidTwice: false,
    };
    const reader = new FrameReader(({ kind, id, payload }) => {
      if (this.#running !== running || running.saidTwice) return;
      running.ready = true;
      if (kind === FROM_COMPILER.result) this.#finish(running, id, payload.toString());
    });
    process.socket.on("data", (chunk: Buffer) => {
      if (!reader.push(chunk)) process.kill();
    });
    void process.exited.then(({ how }) => this.#ended(running, how));
    this.#running = running;
    for (const job of this.#jobs) this.#send(running, job);
    if (this.#jobs.length > 0) this.#watch();
  }

  #send({ writer }: Running, { id, kind, payload }: Job): void {
    writer.send(kind, 0, id, payload);
    writer.flush();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    const { process } = this.#running!;
    this.#timer = setTimeout(() => process.kill(), COMPILE_TIMEOUT_MS);
  }

  #finish(running: Running, id: number, text: string): void {
    const [job] = this.#jobs;
    if (job?.id !== id) {
      running.saidTwice = id === running.answered;
      return running.process.kill();
    }
    try {
      job.settle(text);
    } catch {
      // Its end rejects the job.
      return running.process.kill();
    }
    this.#jobs.shift();
    running.answered = id;
    clearTimeout(this.#timer);
    if (this.#jobs.length > 0) this.#watch();
  }

  #ended(running: Running, how: string): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    clearTimeout(this.#timer);
    const blamed = running.saidTwice ? 0 : 1;
    const [culprit] = this.#jobs.slice(0, blamed);
    const innocent = this.#jobs.slice(blamed);
    this.#jobs = [];
    if (this.#closed) {
      for (const job of [culprit, ...innocent]) job?.reject(restarting());
      return;
    }
    culprit?.reject(
      new SoloError("compile_failed", `The compiler did not survive this source (${how}).`, {
        hint: "Deep nesting or enormous expressions do that: split the source into smaller parts.",
      }),
    );
    // One that cannot even start is tried again when there is work, not for ever.
    if (innocent.length === 0 && !running.ready) return;
    this.#jobs = innocent;
    this.#start();
  }
}

const restarting = (): SoloError =>
  new SoloError("unavailable", "The compiler is being restarted.", {
    hint: "Try again.",
    retryAfterMs: 200,
  });
