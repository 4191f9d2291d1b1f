/**
 * The kernel's end of one compiler process, which does one thing at a time.
 *
 * 1. A request that is answered wrongly, too late or not at all ends the process, and fails
 *    with `compile_failed`.
 * 2. One that the process never began to read, or that an answer to an earlier one is laid
 *    on, is not to blame: it fails with `NeverTried`.
 * 3. What is said without having been asked ends the process.
 * 4. Each request ends within COMPILE_TIMEOUT_MS, a start within START_TIMEOUT_MS.
 */
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { CellExit, CellProcess, Launcher } from "#kernel/cells/launcher.ts";
import { FROM_COMPILER } from "#wire/compiler.ts";
import { FrameReader, FrameWriter, type Frame } from "#wire/frame.ts";

const START_TIMEOUT_MS = 15_000;
const COMPILE_TIMEOUT_MS = 10_000;
const MEMORY_BYTES = 1024 * 1024 * 1024;
/** How often its memory is read where the operating system does not hold its limit. */
const MEMORY_CHECK_MS = 50;

/** Another process may be asked. */
export class NeverTried extends Error {}

export interface CompilerRequest<T> {
  readonly kind: number;
  /** As JSON. */
  readonly payload: object;
  /** Throws when the answer is not of its kind. */
  readonly read: (text: string) => T;
}

export interface CompilerProcessOptions {
  readonly launch: Launcher;
  readonly log: Logger;
}

interface Asked {
  readonly id: number;
  settle(text: string): void;
}

export class CompilerProcess {
  /** Whether it came as far as taking work. */
  readonly ready: Promise<boolean>;
  /** How it ended. */
  readonly gone: Promise<string>;
  /** Nothing of it is left on the host. */
  readonly cleared: Promise<void>;
  readonly #options: CompilerProcessOptions;
  readonly #isReady = Promise.withResolvers<boolean>();
  #process: CellProcess | undefined;
  #writer: FrameWriter | undefined;
  #asked: Asked | undefined;
  #lastId = 0;
  /** Why the kernel ended it. */
  #verdict: string | undefined;
  #isGone = false;
  /** An answer came again in place of the next one's. */
  #saidTwice = false;

  constructor(options: CompilerProcessOptions) {
    this.#options = options;
    this.ready = this.#isReady.promise;
    const process = this.#launched();
    this.gone = process.then((started) => this.#run(started));
    this.cleared = Promise.all([process, this.gone]).then(([started]) => {
      if (typeof started === "object") return started.cleared;
    });
  }

  /** Nothing can be asked any more. */
  get isGone(): boolean {
    return this.#isGone || this.#verdict !== undefined;
  }

  async ask<T>({ kind, payload, read }: CompilerRequest<T>): Promise<T> {
    if (!(await this.ready) || this.isGone) throw new NeverTried(await this.gone);
    const { promise, resolve } = Promise.withResolvers<{ value: T }>();
    const id = (this.#lastId += 1);
    this.#asked = {
      id,
      settle: (text) => {
        this.#asked = undefined;
        try {
          resolve({ value: read(text) });
        } catch {
          this.kill("it answered what nobody can read");
        }
      },
    };
    const stopWatching = this.#watch();
    this.#writer!.send(kind, 0, id, JSON.stringify(payload));
    this.#writer!.flush();
    try {
      const answer = await Promise.race([promise, this.gone]);
      if (typeof answer === "object") return answer.value;
      throw this.#saidTwice ? new NeverTried(answer) : didNotSurvive(answer);
    } finally {
      stopWatching();
    }
  }

  /** SIGKILL; returns at once. */
  kill(why: string): void {
    this.#verdict ??= why;
    this.#process?.kill();
  }

  /** The process, or why there is none. */
  async #launched(): Promise<CellProcess | string> {
    const { launch, log } = this.#options;
    try {
      return await launch({
        program: "compiler",
        args: [],
        memoryBytes: MEMORY_BYTES,
        onStderr: (line) => log.warn("compiler says", { line }),
      });
    } catch (error) {
      log.error("no compiler", { error: String(error) });
      return String(error);
    }
  }

  async #run(process: CellProcess | string): Promise<string> {
    if (typeof process === "string") return this.#ended(process);
    this.#process = process;
    this.#writer = new FrameWriter(process.socket);
    if (this.#verdict !== undefined) process.kill();
    const reader = new FrameReader((frame) => this.#heard(frame));
    process.socket.on("data", (chunk: Buffer) => {
      if (!reader.push(chunk)) this.kill("it sent no frame");
    });
    const timer = setTimeout(() => this.kill("it did not start in time"), START_TIMEOUT_MS);
    const stopTimer = () => clearTimeout(timer);
    this.ready.then(stopTimer, stopTimer);
    const exit = await process.exited;
    return this.#ended(howOf(exit, this.#verdict));
  }

  #ended(how: string): string {
    this.#isGone = true;
    this.#isReady.resolve(false);
    return how;
  }

  #heard({ kind, id, payload }: Frame): void {
    if (this.isGone) return;
    if (kind === FROM_COMPILER.ready) return this.#isReady.resolve(true);
    if (kind === FROM_COMPILER.result && id === this.#asked?.id) {
      return this.#asked.settle(payload.toString());
    }
    this.#saidTwice = id < this.#lastId || this.#asked === undefined;
    this.kill("it answered what was not asked");
  }

  #watch(): () => void {
    const process = this.#process!;
    const deadline = setTimeout(
      () => this.kill(`more than ${COMPILE_TIMEOUT_MS} ms`),
      COMPILE_TIMEOUT_MS,
    );
    const memory = process.holdsMemoryLimit
      ? undefined
      : setInterval(() => {
          if ((process.memoryBytes() ?? 0) > MEMORY_BYTES) this.kill(OUT_OF_MEMORY);
        }, MEMORY_CHECK_MS);
    return () => {
      clearTimeout(deadline);
      clearInterval(memory);
    };
  }
}

const OUT_OF_MEMORY = `more than ${MEMORY_BYTES / 1024 ** 2} MiB of memory`;

const howOf = ({ how, outOfMemory }: CellExit, verdict: string | undefined): string =>
  verdict ?? (outOfMemory ? OUT_OF_MEMORY : how);

const didNotSurvive = (how: string): SoloError =>
  new SoloError("compile_failed", `The compiler did not survive this source (${how}).`, {
    hint: "Deep nesting or enormous expressions do that: split the source into smaller parts.",
  });
