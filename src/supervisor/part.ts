/** Children made of simpler things: a loop, or a part that is open until it is closed. */
import type { Child, ExitReason, StopOptions } from "#supervisor/child.ts";
import { settledWithin } from "#supervisor/effort.ts";
import { KILL_GRACE_MS } from "#supervisor/limits.ts";

/**
 * A loop as a child. It ends `normal` when it returns by itself, `shutdown` when it was
 * asked to, and a loop that throws is a crash. JavaScript cannot be killed from outside:
 * a killed loop has its signal aborted and is no longer waited for.
 */
export function task(run: (signal: AbortSignal) => Promise<void>): Child {
  const controller = new AbortController();
  const { signal } = controller;
  const { promise: exited, resolve: exit } = Promise.withResolvers<ExitReason>();
  Promise.try(() => run(signal)).then(
    () => exit({ kind: signal.aborted ? "shutdown" : "normal" }),
    (error: unknown) => exit(signal.aborted ? { kind: "shutdown" } : { kind: "crashed", error }),
  );
  return {
    exited,
    async stop() {
      controller.abort();
      await exited;
    },
    kill() {
      controller.abort();
      exit({ kind: "killed" });
    },
  };
}

export interface PartOptions {
  /** Closes it in an orderly way; called once at most. */
  close(options: StopOptions): Promise<void>;
  /** Ends it at once. Without it a kill begins to close it and does not wait. */
  kill?(): void;
  /** Rejects when the part has failed by itself. */
  readonly failed?: Promise<never>;
}

/**
 * An open part (a server, a store, a thread) as a child: it runs until it fails or is
 * closed. What failed is killed or closed before it exits, so that the next one finds
 * its port and files free; a close that hangs then is waited for KILL_GRACE_MS.
 */
export function part(options: PartOptions): Child {
  const { promise: exited, resolve: exit } = Promise.withResolvers<ExitReason>();
  let closing: Promise<void> | undefined;
  const close = (stop: StopOptions): Promise<void> =>
    (closing ??= Promise.try(() => options.close(stop)));
  const end = async (): Promise<void> => (options.kill ? options.kill() : close({ timeoutMs: 0 }));

  const fail = async (error: unknown): Promise<void> => {
    if (closing !== undefined) return;
    const ended = end().catch(() => {}); // the failure itself is the better reason
    await settledWithin([ended], KILL_GRACE_MS);
    exit({ kind: "crashed", error });
  };
  void options.failed?.catch(fail);

  return {
    exited,
    stop: (stop) =>
      close(stop).then(
        () => exit({ kind: "shutdown" }),
        (error: unknown) => exit({ kind: "crashed", error }),
      ),
    kill() {
      exit({ kind: "killed" });
      void end().catch(() => {});
    },
  };
}
