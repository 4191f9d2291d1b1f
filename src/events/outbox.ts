/**
 * Items on their way to a store, in order, across failures and restarts of the store.
 *
 * 1. An item leaves the outbox only when the store has acknowledged it.
 * 2. Items of one turn of the loop travel together, and batches arrive in order.
 * 3. After a failure nothing is sent until `retry` or `attach`; items are sent again, in the
 *    same order.
 */
import { toSoloError, type SoloError } from "#base/errors.ts";
import { Deque } from "#events/deque.ts";
import { MAX_BATCH } from "#events/limits.ts";

export interface OutboxOptions<T> {
  /** Batches on their way at once; while they are, further items gather into the next. */
  readonly maxInFlight: number;
  readonly onAcknowledged: (items: readonly T[]) => void;
  /** Called once per failure, when nothing is on its way any more. */
  readonly onFailed: (error: SoloError) => void;
}

export class Outbox<T> {
  readonly #options: OutboxOptions<T>;
  readonly #queue = new Deque<T>();
  #send: ((items: readonly T[]) => Promise<void>) | undefined;
  /** Items at the start of the queue that are on their way, in `#inFlight` batches. */
  #sent = 0;
  #inFlight = 0;
  #failure: SoloError | undefined;
  #scheduled = false;

  constructor(options: OutboxOptions<T>) {
    this.#options = options;
  }

  get length(): number {
    return this.#queue.length;
  }

  push(item: T): void {
    this.#queue.push(item);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Sends to this store from now on, beginning after the first `acknowledged` items, which it already has. */
  attach(send: (items: readonly T[]) => Promise<void>, acknowledged: number): void {
    this.detach();
    this.#send = send;
    if (acknowledged > 0) this.#options.onAcknowledged(this.#queue.take(acknowledged));
    this.flush();
  }

  detach(): void {
    this.#send = undefined;
    this.#sent = 0;
    this.#inFlight = 0;
    this.#failure = undefined;
  }

  flush(): void {
    while (
      this.#failure === undefined &&
      this.#inFlight < this.#options.maxInFlight &&
      this.#sent < this.length
    ) {
      if (!this.#sendBatch()) return;
    }
  }

  /** After a failure: sends one batch, and goes on if it is acknowledged. */
  retry(): void {
    if (this.#failure !== undefined && this.#inFlight === 0 && this.length > 0) this.#sendBatch();
  }

  /** After a failure: gives up everything that is queued. */
  discard(): readonly T[] {
    this.#failure = undefined;
    return this.#queue.take(this.length);
  }

  #sendBatch(): boolean {
    const send = this.#send;
    if (send === undefined) return false;
    const batch = this.#queue.slice(this.#sent, this.#sent + MAX_BATCH);
    this.#sent += batch.length;
    this.#inFlight++;
    send(batch).then(
      () => this.#send === send && this.#acknowledged(batch.length),
      (error) => this.#send === send && this.#failed(toSoloError(error)),
    );
    return true;
  }

  #acknowledged(count: number): void {
    this.#inFlight--;
    this.#sent -= count;
    this.#failure = undefined;
    this.#options.onAcknowledged(this.#queue.take(count));
    this.flush();
  }

  #failed(error: SoloError): void {
    this.#inFlight--;
    this.#failure ??= error;
    if (this.#inFlight > 0) return;
    this.#sent = 0;
    this.#options.onFailed(this.#failure);
  }
}
