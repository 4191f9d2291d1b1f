import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { systemClock } from "#base/clock.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import type { SupervisorOptions } from "#supervisor/options.ts";
import { Supervisor, supervisorSpec } from "#supervisor/supervisor.ts";
import { until } from "../support/until.ts";
import { newCast, settle } from "./cast.ts";

const options = (more: Partial<SupervisorOptions>): SupervisorOptions => ({
  id: "top",
  strategy: "one_for_one",
  clock: systemClock,
  ...more,
});
const codeOf = (error: unknown) => (error instanceof SoloError ? error.code : error);

describe("stop", () => {
  test("children stop in reverse, each after the one behind it is gone", async () => {
    const cast = newCast();
    const children = [cast.spec("a"), cast.spec("b"), cast.spec("c")];
    const supervisor = await Supervisor.start(options({ children }));
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.slice(3)).toEqual(["-c", "-b", "-a"]);
    expect(await supervisor.exited).toEqual({ kind: "shutdown" });
    expect(supervisor.tree()).toMatchObject({ state: "stopped" });
  });

  test("it may be asked again, by several, and all wait for the same end", async () => {
    const cast = newCast();
    const supervisor = await Supervisor.start(options({ children: [cast.spec("a")] }));
    await Promise.all([
      supervisor.stop({ timeoutMs: "infinity" }),
      supervisor.stop({ timeoutMs: 1000 }),
      supervisor[Symbol.asyncDispose](),
    ]);
    await supervisor.stop({ timeoutMs: 0 });
    expect(cast.script).toEqual(["+a", "-a"]);
  });

  test("a child that does not stop in its time is killed", async () => {
    const cast = newCast();
    const deaf = cast.spec("b", { manner: "deaf", shutdown: 20 });
    const supervisor = await Supervisor.start(options({ children: [cast.spec("a"), deaf] }));
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.slice(2)).toEqual(["-b", "!b", "-a"]);
  });

  test("a child that refuses to stop is killed at once", async () => {
    const cast = newCast();
    const refusing = cast.spec("a", { manner: "refusing", shutdown: "infinity" });
    const supervisor = await Supervisor.start(options({ children: [refusing] }));
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script).toEqual(["+a", "-a", "!a"]);
  });

  test("brutal_kill does not ask", async () => {
    const cast = newCast();
    const spec = cast.spec("a", { shutdown: "brutal_kill" });
    const supervisor = await Supervisor.start(options({ children: [spec] }));
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script).toEqual(["+a", "!a"]);
  });

  test("when the whole stop takes too long everything left is killed, on every level", async () => {
    const cast = newCast();
    const inner = supervisorSpec({
      ...options({
        id: "inner",
        children: [cast.spec("x"), cast.spec("y", { manner: "deaf", shutdown: "infinity" })],
      }),
      restart: "permanent",
    });
    const top = await Supervisor.start(options({ children: [cast.spec("a"), inner] }));
    await top.stop({ timeoutMs: 20 });
    expect(await top.exited).toEqual({ kind: "killed" });
    expect(cast.script.slice(3).sort()).toEqual(["!a", "!x", "!y", "-y"]);
  });

  test("a child that outlives its kill is reported, and the others go on", async () => {
    const cast = newCast();
    const events: SupervisorEvent[] = [];
    const spec = cast.spec("a", { manner: "undying", shutdown: "brutal_kill" });
    const supervisor = await Supervisor.start(
      options({ children: [cast.spec("b"), spec], onEvent: (event) => events.push(event) }),
    );
    const stopping = supervisor.stop({ timeoutMs: "infinity" });
    supervisor.kill();
    await stopping;
    expect(events.filter(({ kind }) => kind === "child_abandoned")).toHaveLength(1);
    expect(cast.script).toEqual(["+b", "+a", "!a", "!b"]);
  });

  test("a dynamic supervisor stops its children all at the same time", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({ dynamic: true }));
    for (const id of ["a", "b", "c"]) {
      await supervisor.startChild(cast.spec(id, { manner: "deaf", shutdown: 30 }));
    }
    const stopping = supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.slice(3)).toEqual(["-c", "-b", "-a"]);
    await stopping;
  });
});

describe("a stop that comes at a bad moment", () => {
  const pending = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("off")));
    });

  test("during a restart: the start is cancelled, and nothing is restarted any more", async () => {
    const cast = newCast();
    let starts = 0;
    const spec = cast.spec("b", {
      before: (signal) => {
        starts += 1;
        return starts === 1 ? undefined : pending(signal);
      },
    });
    const children = [cast.spec("a"), spec, cast.spec("c")];
    const supervisor = await Supervisor.start(options({ strategy: "rest_for_one", children }));
    cast.actor("b").crash();
    await settle();
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.slice(3)).toEqual(["-c", "-a"]);
    expect(starts).toBe(2);
  });

  test("during a wait for a restart: the timer goes, nothing starts", async () => {
    const cast = newCast();
    const supervisor = await Supervisor.start(
      options({
        children: [cast.spec("a")],
        maxRestarts: 2,
        maxSeconds: 3600,
        backoff: { baseMs: 100_000, factor: 1, maxMs: 100_000 },
      }),
    );
    const timers = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const before = timers();
    cast.actor("a").crash();
    await settle();
    cast.actor("a").crash();
    await settle();
    expect(timers()).toBe(before + 1);
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(timers()).toBe(before);
    expect(cast.script).toEqual(["+a", "+a"]);
  });

  test("during a start that does not listen: a child that comes up late is stopped", async () => {
    const cast = newCast();
    const gate = Promise.withResolvers<void>();
    const supervisor = await Supervisor.start(options({}));
    const starting = supervisor
      .startChild(cast.spec("late", { before: () => gate.promise, shutdown: 10 }))
      .catch(codeOf);
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(await starting).toBe("cancelled");
    gate.resolve();
    await until(() => cast.script.includes("-late"), "the late child to be stopped");
  });

  test("during a start that is about to succeed: the child is stopped before the stop is over", async () => {
    const cast = newCast();
    const gate = Promise.withResolvers<void>();
    const supervisor = await Supervisor.start(options({}));
    const starting = supervisor
      .startChild(cast.spec("late", { before: () => gate.promise, manner: "deaf", shutdown: 20 }))
      .catch(codeOf);
    const stopping = supervisor.stop({ timeoutMs: "infinity" });
    gate.resolve();
    await stopping;
    expect(await starting).toBe("cancelled");
    expect(cast.script).toEqual(["+late", "-late", "!late"]);
  });

  test("while children are stopped for a restart: they are stopped once, and stay down", async () => {
    const cast = newCast();
    const children = [
      cast.spec("a"),
      cast.spec("b"),
      cast.spec("c", { manner: "deaf", shutdown: 20 }),
    ];
    const supervisor = await Supervisor.start(options({ strategy: "one_for_all", children }));
    cast.actor("a").crash();
    await settle();
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.slice(3)).toEqual(["-c", "!c", "-b"]);
  });

  test("together with an exit: the exited child is not restarted", async () => {
    const cast = newCast();
    const supervisor = await Supervisor.start(options({ children: [cast.spec("a")] }));
    cast.actor("a").crash();
    await supervisor.stop({ timeoutMs: "infinity" });
    expect(cast.script.filter((line) => line === "+a")).toHaveLength(1);
  });

  test("kill during a start that never ends does not wait for it", async () => {
    const cast = newCast();
    const gate = Promise.withResolvers<void>();
    const supervisor = await Supervisor.start(options({}));
    const starting = supervisor
      .startChild(
        cast.spec("late", { before: () => gate.promise, shutdown: "infinity", manner: "deaf" }),
      )
      .catch(codeOf);
    supervisor.kill();
    expect(await supervisor.exited).toEqual({ kind: "killed" });
    expect(await starting).toBe("cancelled");
    gate.resolve();
    await until(() => cast.script.includes("!late"), "the late child to be killed");
  });
});
