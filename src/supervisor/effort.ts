/**
 * The two things a supervisor does to one child: bring it up and take it down.
 *
 * 1. A start that is cancelled is waited for as its shutdown kind says, and no longer;
 *    a child that comes up after that is taken down all the same.
 * 2. A stop is waited for as the shutdown kind says, then the child is killed; a killed
 *    child has KILL_GRACE_MS to be gone. Only `infinity` waits without a bound.
 * 3. `hurry` ends all patience: what is under way is killed or left.
 * 4. No timer outlives its effort.
 */
import { SoloError } from "#base/errors.ts";
import type { Child, ChildSpec, ExitReason, ShutdownKind } from "#supervisor/child.ts";
import { KILL_GRACE_MS } from "#supervisor/limits.ts";

export interface Starting {
  /** The child; rejects with what its start threw, or with `cancelled`. */
  readonly done: Promise<Child>;
  readonly signal: AbortSignal;
  cancel(): void;
  hurry(): void;
}

export function bringUp(spec: ChildSpec): Starting {
  const controller = new AbortController();
  const { signal } = controller;
  const { promise: hurried, resolve: endPatience } = Promise.withResolvers<undefined>();
  return {
    done: start(spec, { signal, hurried }),
    signal,
    cancel: () => controller.abort(),
    hurry: () => {
      controller.abort();
      endPatience(undefined);
    },
  };
}

interface StartOptions {
  readonly signal: AbortSignal;
  readonly hurried: Promise<undefined>;
}

async function start(spec: ChildSpec, { signal, hurried }: StartOptions): Promise<Child> {
  const coming = Promise.try(() => spec.start(signal));
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  signal.addEventListener("abort", () => resolve(undefined), { once: true });
  const child = await Promise.race([coming, aborted]);
  if (child !== undefined && !signal.aborted) return child;

  const gone = coming.then(
    (late) => takeDown(late, spec.shutdown),
    () => undefined, // it did not come up, as it was asked
  );
  const patience = spec.shutdown === "brutal_kill" ? 0 : spec.shutdown;
  void hurried.then(() => gone).then((late) => late?.hurry());
  const late = await settledWithin([gone, hurried], patience);
  await late?.done;
  throw new SoloError("cancelled", `The start of ${spec.id} was cancelled.`);
}

export interface Stopping {
  /** How it ended; undefined when it would not: nobody waits for it any longer. */
  readonly done: Promise<ExitReason | undefined>;
  hurry(): void;
}

export function takeDown(child: Child, shutdown: ShutdownKind): Stopping {
  const { promise: hurried, resolve } = Promise.withResolvers<undefined>();
  return { done: stop(child, { shutdown, hurried }), hurry: () => resolve(undefined) };
}

interface StopChildOptions {
  readonly shutdown: ShutdownKind;
  readonly hurried: Promise<undefined>;
}

async function stop(child: Child, options: StopChildOptions): Promise<ExitReason | undefined> {
  const { shutdown, hurried } = options;
  const exited = exitOf(child);
  if (shutdown !== "brutal_kill") {
    const { promise: refused, resolve } = Promise.withResolvers<undefined>();
    Promise.try(() => child.stop({ timeoutMs: shutdown })).catch(() => resolve(undefined));
    const reason = await settledWithin([exited, refused, hurried], shutdown);
    if (reason !== undefined) return reason;
  }
  try {
    child.kill();
  } catch {
    // What counts is whether it exits.
  }
  return settledWithin([exited], KILL_GRACE_MS);
}

/** How a child ended; an `exited` that rejects is a crash. */
export const exitOf = (child: Child): Promise<ExitReason> =>
  child.exited.catch((error: unknown) => ({ kind: "crashed", error }));

/** The first of `promises`, or undefined once the time is over. */
export async function settledWithin<T>(
  promises: readonly Promise<T>[],
  limit: number | "infinity",
): Promise<T | undefined> {
  if (limit === "infinity") return Promise.race(promises);
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), limit);
  try {
    return await Promise.race([...promises, late]);
  } finally {
    clearTimeout(timer);
  }
}
