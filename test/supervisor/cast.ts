/** Children to watch: each writes down what happens to it, and crashes on request. */
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "#base/clock.ts";
import type { Child, ChildSpec, ExitReason } from "#supervisor/child.ts";

export interface Actor extends Child {
  crash(error?: unknown): void;
  end(reason: ExitReason): void;
}

export interface Cast {
  /** "+a" a started, "-a" a was asked to stop, "!a" a was killed; in order. */
  readonly script: string[];
  actor(id: string): Actor;
  spec(id: string, options?: Partial<ActorOptions>): ChildSpec<Actor>;
}

export interface ActorOptions extends Pick<ChildSpec, "restart" | "shutdown"> {
  /** Awaited before the child is up. */
  readonly before: (signal: AbortSignal) => Promise<void> | void;
  /** "deaf" does not stop when asked; "undying" is not even killed. */
  readonly manner: "polite" | "deaf" | "undying" | "refusing";
}

export function newCast(): Cast {
  const script: string[] = [];
  const actors = new Map<string, Actor>();

  function newActor(id: string, manner: ActorOptions["manner"]): Actor {
    const { promise: exited, resolve } = Promise.withResolvers<ExitReason>();
    return {
      exited,
      end: resolve,
      crash: (error = new Error(`${id} crashed`)) => resolve({ kind: "crashed", error }),
      async stop() {
        script.push(`-${id}`);
        if (manner === "refusing") throw new Error("no");
        if (manner === "polite") resolve({ kind: "shutdown" });
      },
      kill() {
        script.push(`!${id}`);
        if (manner !== "undying") resolve({ kind: "killed" });
      },
    };
  }

  return {
    script,
    actor(id) {
      const actor = actors.get(id);
      if (actor === undefined) throw new Error(`${id} never started`);
      return actor;
    },
    spec: (id, options = {}) => ({
      id,
      type: "worker",
      restart: options.restart ?? "permanent",
      shutdown: options.shutdown ?? 1000,
      async start(signal) {
        await options.before?.(signal);
        script.push(`+${id}`);
        const actor = newActor(id, options.manner ?? "polite");
        actors.set(id, actor);
        return actor;
      },
    }),
  };
}

/** Lets everything that is due happen: microtasks and what they lead to, no timers. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 3; i += 1) await turn();
};

/** A clock that stands still until it is moved. */
export function newClock(): Clock & { advance(ms: number): void } {
  let ms = 1_000;
  return {
    now: () => ms,
    nowNs: () => BigInt(ms) * 1_000_000n,
    wallMs: () => ms,
    advance: (by) => {
      ms += by;
    },
  };
}
