/**
 * The storage thread: the only writer.
 *
 * 1. Everything that is queued is taken together and committed together (group commit): one
 *    commit of state.db, then one of the event log. State comes first: it is the truth, and
 *    events record it.
 * 2. An answer leaves only after its commit returned, that is, after the data is on the disk.
 * 3. Reads see every write that was queued before them.
 */
import { join } from "node:path";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SoloError, toSoloError } from "#base/errors.ts";
import { pruneEvents } from "#storage/archive.ts";
import { EventWriter } from "#storage/event-writer.ts";
import { MAX_EVENTS_PER_COMMIT, MAX_REQUESTS_PER_COMMIT } from "#storage/limits.ts";
import { type DirectoryLock, lockDirectory } from "#storage/lock.ts";
import { LogFile } from "#storage/log-file.ts";
import {
  EVENT_STRIDE,
  type FromThread,
  type Op,
  type Reply,
  type Request,
} from "#storage/protocol.ts";
import { checkSqliteVersion, prepareDirectory } from "#storage/sqlite.ts";
import { StateFile } from "#storage/state-file.ts";

export interface WriterData {
  readonly dataDir: string;
  readonly eventsDir: string;
  readonly pid: number;
  readonly eventsPerFile: number;
  readonly logLinesPerService: number;
  readonly maxFileBytes?: number | undefined;
}

type RequestOf<O extends Op> = Request<O>;
type WriterRequest = Request<Exclude<Op, "read" | "verify">>;

class Writer {
  readonly #data: WriterData;
  readonly #lock: DirectoryLock;
  readonly #state: StateFile;
  readonly #logs: LogFile;
  readonly #events: EventWriter;

  constructor(data: WriterData) {
    const {
      dataDir,
      eventsDir,
      pid,
      eventsPerFile,
      logLinesPerService,
      maxFileBytes: maxBytes,
    } = data;
    this.#data = data;
    prepareDirectory(dataDir);
    prepareDirectory(eventsDir);
    this.#lock = lockDirectory({ dataDir, pid });
    const state = new StateFile({ path: join(dataDir, "state.db"), maxBytes });
    this.#state = state;
    this.#logs = new LogFile({
      path: join(dataDir, "logs.db"),
      linesPerService: logLinesPerService,
      maxBytes,
    });
    this.#events = new EventWriter({
      eventsDir,
      eventsPerFile,
      maxBytes,
      anchor: state.anchor,
      onSealed: (head) => state.recordLog(head),
    });
  }

  get ready(): FromThread {
    return { ready: { headId: this.#events.head.id, lastLogSeq: this.#logs.lastSeq } };
  }

  /** Everything of one round, in the order of the invariants; answers what is not pending. */
  handle(requests: readonly WriterRequest[], send: (replies: Reply[]) => void): void {
    const replies: Reply[] = [];
    this.#applyState(pick(requests, "kvBatch"), replies);
    this.#appendEvents(pick(requests, "append"), replies);
    this.#appendLogs(pick(requests, "logAppend"), replies);
    let closing = false;
    for (const request of requests) {
      if (request.op === "prune") this.#prune(request, send);
      else if (request.op === "close") closing = true;
      else if (!COMMITTED.has(request.op))
        replies.push(answered(request.id, () => this.#answer(request)));
    }
    send(replies);
    this.#events.settle();
    if (closing) this.#close(pick(requests, "close"), send);
  }

  #applyState(requests: readonly RequestOf<"kvBatch">[], replies: Reply[]): void {
    if (requests.length === 0) return;
    const outcomes = this.#state.apply(
      requests.map(({ ask }) => ask),
      this.#events.head,
    );
    for (const [i, outcome] of outcomes.entries()) {
      const id = (requests[i] as RequestOf<"kvBatch">).id;
      replies.push(
        outcome instanceof SoloError ? { id, error: outcome.toBody() } : { id, answer: outcome },
      );
    }
  }

  #appendEvents(requests: readonly RequestOf<"append">[], replies: Reply[]): void {
    if (requests.length === 0) return;
    const outcomes = this.#events.append(requests.map(({ ask }) => ask));
    for (const [i, error] of outcomes.entries()) {
      const id = (requests[i] as RequestOf<"append">).id;
      replies.push(error === undefined ? { id, answer: undefined } : { id, error: error.toBody() });
    }
  }

  #appendLogs(requests: readonly RequestOf<"logAppend">[], replies: Reply[]): void {
    if (requests.length === 0) return;
    const outcome = answered(0, () => this.#logs.append(requests.map(({ ask }) => ask)));
    for (const { id } of requests) replies.push({ ...outcome, id });
  }

  #answer(request: WriterRequest): unknown {
    switch (request.op) {
      case "kvGet":
        return this.#state.get(request.ask.ns, request.ask.key, request.ask.nowMs);
      case "kvUsage":
        return this.#state.usage(request.ask.ns);
      case "kvList":
        return this.#state.list(request.ask);
      case "logRead":
        return this.#logs.read(request.ask);
      case "logTrim":
        return this.#logs.trim(request.ask);
      case "logRemove":
        return this.#logs.remove(request.ask);
      case "bounds":
        return {
          firstId: this.#state.logFirstId,
          anchor: this.#state.anchor,
          headId: this.#events.head.id,
        };
      default:
        throw new SoloError("internal", `The storage thread does not know ${request.op}.`);
    }
  }

  /** Compresses beside the writing; answers when done. */
  #prune({ id, ask }: RequestOf<"prune">, send: (replies: Reply[]) => void): void {
    pruneEvents({
      eventsDir: this.#data.eventsDir,
      beforeId: ask.beforeId,
      onArchived: (firstId) => this.#state.recordLog(this.#events.head, firstId),
    }).then(
      (answer) => send([{ id, answer }]),
      (error) => send([{ id, error: toSoloError(error).toBody() }]),
    );
  }

  #close(requests: readonly RequestOf<"close">[], send: (replies: Reply[]) => void): void {
    const outcome = answered(0, () => {
      if (this.#state.anchor.id !== this.#events.head.id) this.#state.recordLog(this.#events.head);
    });
    this.#events.close();
    this.#logs.close();
    this.#state.close();
    this.#lock.release();
    send(requests.map(({ id }) => ({ ...outcome, id })));
  }
}

/** Requests that are committed in groups, not one by one. */
const COMMITTED = new Set<Op>(["kvBatch", "append", "logAppend"]);

function pick<O extends Op>(requests: readonly WriterRequest[], op: O): RequestOf<O>[] {
  return requests.filter((request) => request.op === op) as unknown as RequestOf<O>[];
}

function answered(id: number, work: () => unknown): Reply {
  try {
    return { id, answer: work() };
  } catch (error) {
    return { id, error: toSoloError(error).toBody() };
  }
}

function main(port: NonNullable<typeof parentPort>): void {
  let writer: Writer;
  try {
    checkSqliteVersion(process.versions.sqlite);
    writer = new Writer(workerData as WriterData);
  } catch (error) {
    port.postMessage({ failed: toSoloError(error).toBody() } satisfies FromThread);
    port.close();
    return;
  }
  port.on("message", (first: readonly WriterRequest[]) => {
    const round = [...first];
    let events = eventsOf(first);
    while (round.length < MAX_REQUESTS_PER_COMMIT && events < MAX_EVENTS_PER_COMMIT) {
      const next = receiveMessageOnPort(port);
      if (next === undefined) break;
      const requests = next.message as readonly WriterRequest[];
      round.push(...requests);
      events += eventsOf(requests);
    }
    writer.handle(round, (replies) => port.postMessage(replies satisfies FromThread));
    if (round.some(({ op }) => op === "close")) port.close();
  });
  port.postMessage(writer.ready);
}

const eventsOf = (requests: readonly WriterRequest[]): number =>
  pick(requests, "append").reduce((sum, { ask }) => sum + ask.fields.length / EVENT_STRIDE, 0);

if (parentPort !== null) main(parentPort);
