/**
 * A storage thread as the main thread sees it: requests and their answers.
 *
 * 1. Every request ends: answered, refused, or `unavailable` when the thread is gone.
 * 2. `closed` resolves exactly once, when the thread is gone.
 * 3. Requests that are made together travel together: a message costs more than what is in it.
 */
import { Worker } from "node:worker_threads";
import { SoloError } from "#base/errors.ts";
import { MAX_PENDING_REQUESTS } from "#storage/limits.ts";
import type { FromThread, Hello, Op, Reply, Request, Requests } from "#storage/protocol.ts";

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: SoloError) => void;
}

type Ready = Extract<Hello, { ready: unknown }>["ready"];

export class ThreadClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #closed = Promise.withResolvers<Error | undefined>();
  #outgoing: Request[] = [];
  #nextId = 1;
  #gone = false;
  /** It was asked to end. */
  #closing = false;
  /** Why the thread ended, unless it was asked to. */
  #fatal: Error | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("error", (error) => (this.#fatal ??= error as Error));
    worker.on("exit", (code) => this.#exited(code));
  }

  static async start(options: {
    module: URL;
    name: string;
    workerData: unknown;
  }): Promise<{ client: ThreadClient; ready: Ready }> {
    const { module, name, workerData } = options;
    const worker = new Worker(module, { name, workerData, env: {}, execArgv: [], stdin: false });
    const client = new ThreadClient(worker);
    const hello = await Promise.race([
      new Promise<FromThread>((resolve) => worker.once("message", resolve)),
      client.closed,
    ]);
    if (hello !== undefined && "ready" in hello) {
      worker.on("message", (message: FromThread) => client.#receive(message as readonly Reply[]));
      return { client, ready: hello.ready };
    }
    await client.closed;
    if (hello !== undefined && "failed" in hello) throw SoloError.fromBody(hello.failed);
    throw gone(client.#fatal);
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  get isGone(): boolean {
    return this.#gone;
  }

  request<O extends Op>(op: O, ask: Requests[O]["ask"]): Promise<Requests[O]["answer"]> {
    if (this.#gone) return Promise.reject(gone(this.#fatal));
    if (this.#pending.size >= MAX_PENDING_REQUESTS && op !== "close") {
      return Promise.reject(
        new SoloError("overloaded", "Storage has more work queued than it accepts.", {
          retryAfterMs: 100,
        }),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Requests[O]["answer"]>();
    const id = this.#nextId++;
    this.#closing ||= op === "close";
    this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
    // Once everything that follows from the same input has been asked for.
    if (this.#outgoing.length === 0) process.nextTick(() => this.#post());
    this.#outgoing.push({ id, op, ask } as Request);
    return promise;
  }

  #post(): void {
    const requests = this.#outgoing;
    this.#outgoing = [];
    this.#worker.postMessage(requests);
  }

  /** Ends the thread at once; what it was doing is answered `unavailable`. */
  kill(): void {
    this.#fatal ??= new Error("The storage thread was killed.");
    void this.#worker.terminate();
  }

  #receive(replies: readonly Reply[]): void {
    for (const reply of replies) {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if ("error" in reply) pending?.reject(SoloError.fromBody(reply.error));
      else pending?.resolve(reply.answer);
    }
  }

  #exited(code: number): void {
    this.#gone = true;
    if (!this.#closing) this.#fatal ??= new Error(`The thread ended with code ${code}.`);
    const error = gone(this.#fatal);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#closed.resolve(this.#fatal);
  }
}

const gone = (cause: Error | undefined): SoloError =>
  new SoloError("unavailable", "The storage thread is gone.", {
    hint: "It is restarted by itself; try again.",
    retryAfterMs: 100,
    cause,
  });
