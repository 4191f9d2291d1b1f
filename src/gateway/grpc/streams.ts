/** The open server streams, which would never end by themselves: a drain ends them. */
import { SoloError } from "#base/errors.ts";
import type { GrpcCall } from "#gateway/grpc/call.ts";

export class OpenStreams {
  readonly #open = new Set<GrpcCall>();
  #draining: SoloError | undefined;

  /** Runs the `work` of a stream; when the call is aborted, that is what the work ends with. */
  async during(call: GrpcCall, work: () => Promise<void>): Promise<void> {
    if (this.#draining !== undefined) throw this.#draining;
    this.#open.add(call);
    try {
      await work();
      call.signal.throwIfAborted();
    } catch (thrown) {
      // Whatever the work made of it: the client is to know that the kernel goes away.
      throw call.signal.aborted ? call.signal.reason : thrown;
    } finally {
      this.#open.delete(call);
    }
  }

  /** Ends what is open and refuses what comes. */
  drain(): void {
    this.#draining = new SoloError("shutting_down", "The kernel is shutting down.", {
      hint: "Connect again and resume after the last id you saw.",
    });
    for (const call of this.#open) call.abort(this.#draining);
  }
}
