import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import type { SupervisorEvent } from "#supervisor/events.ts";
import type { SupervisorOptions } from "#supervisor/options.ts";
import { Supervisor, supervisorSpec } from "#supervisor/supervisor.ts";
import { until } from "../support/until.ts";
import { newCast, newClock, settle, type Cast } from "./cast.ts";

const clock = newClock();
const options = (more: Partial<SupervisorOptions>): SupervisorOptions => ({
  id: "top",
  strategy: "one_for_one",
  clock,
  maxRestarts: 3,
  ...more,
});
const codeOf = (error: unknown) => (error instanceof SoloError ? error.code : error);
const fails = (promise: Promise<unknown>) => promise.then(() => "no failure", codeOf);
const abc = (cast: Cast) => ["a", "b", "c"].map((id) => cast.spec(id));

async function startAbc(cast: Cast, more: Partial<SupervisorOptions> = {}): Promise<Supervisor> {
  const supervisor = await Supervisor.start(options({ children: abc(cast), ...more }));
  cast.script.length = 0;
  return supervisor;
}

describe("start", () => {
  test("children start left to right, each after the one before is up", async () => {
    const cast = newCast();
    const up: string[] = [];
    const slow = (id: string) =>
      cast.spec(id, {
        before: async () => {
          up.push(cast.script.join(""));
          await settle();
        },
      });
    await using supervisor = await Supervisor.start(options({ children: [slow("a"), slow("b")] }));
    expect(up).toEqual(["", "+a"]);
    expect(supervisor.whichChildren().map(({ id, state }) => `${id} ${state}`)).toEqual([
      "a running",
      "b running",
    ]);
  });

  test("a child that does not start stops those before it in reverse, and its error comes back", async () => {
    const cast = newCast();
    const broken = cast.spec("c", {
      before: () => {
        throw new SoloError("cannot_listen", "taken");
      },
    });
    const children = [cast.spec("a"), cast.spec("b"), broken, cast.spec("d")];
    expect(await fails(Supervisor.start(options({ children })))).toBe("cannot_listen");
    expect(cast.script).toEqual(["+a", "+b", "-b", "-a"]);
  });

  test("specs are checked whole before anything starts, with every bad field named", async () => {
    const cast = newCast();
    const children = [
      cast.spec("a"),
      { ...cast.spec("a"), restart: "always" as "permanent", shutdown: -1 },
    ];
    const error: unknown = await Supervisor.start(
      options({
        children,
        maxRestarts: -1,
        maxSeconds: Number.NaN,
        dynamic: true,
        strategy: "one_for_all",
      }),
    ).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SoloError);
    expect((error as SoloError).options.fields?.map(({ field }) => field)).toEqual([
      "maxRestarts",
      "maxSeconds",
      "dynamic",
      "children[1].restart",
      "children[1].shutdown",
      "children[1].id",
    ]);
    expect(cast.script).toEqual([]);
  });

  test("a child that exits while its siblings still start is restarted once all are up", async () => {
    const cast = newCast();
    const killer = cast.spec("b", {
      before: async () => {
        cast.actor("a").crash();
        await settle();
      },
    });
    await using supervisor = await Supervisor.start(
      options({ children: [cast.spec("a"), killer] }),
    );
    await settle();
    expect(cast.script).toEqual(["+a", "+b", "+a"]);
    expect(supervisor.countChildren().active).toBe(2);
  });

  test("a cancelled start stops what is up and rejects", async () => {
    const cast = newCast();
    const controller = new AbortController();
    const waiting = cast.spec("b", {
      before: (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("off"))),
        ),
    });
    const starting = Supervisor.start(
      options({ children: [cast.spec("a"), waiting], signal: controller.signal }),
    );
    await settle();
    controller.abort();
    expect(await fails(starting)).toBe("cancelled");
    expect(cast.script).toEqual(["+a", "-a"]);
  });
});

describe("restart", () => {
  test("one_for_one restarts the crashed child alone", async () => {
    const cast = newCast();
    await using supervisor = await startAbc(cast);
    cast.actor("b").crash();
    await settle();
    expect(cast.script).toEqual(["+b"]);
    expect(supervisor.tree().children.map(({ restarts }) => restarts)).toEqual([0, 1, 0]);
  });

  test("rest_for_one restarts exactly it and those after it", async () => {
    const cast = newCast();
    await using supervisor = await startAbc(cast, { strategy: "rest_for_one" });
    const a = supervisor.findChild("a");
    cast.actor("b").crash();
    await settle();
    expect(cast.script).toEqual(["-c", "+b", "+c"]);
    expect(supervisor.findChild("a")).toBe(a);
  });

  test("one_for_all restarts all", async () => {
    const cast = newCast();
    await using _supervisor = await startAbc(cast, { strategy: "one_for_all" });
    cast.actor("b").crash();
    await settle();
    expect(cast.script).toEqual(["-c", "-a", "+a", "+b", "+c"]);
  });

  test("children that crash together under one_for_all are restarted together, and count once", async () => {
    const cast = newCast();
    await using supervisor = await startAbc(cast, { strategy: "one_for_all", maxRestarts: 1 });
    cast.actor("a").crash();
    cast.actor("b").crash();
    cast.actor("c").crash();
    await settle();
    expect(cast.script.filter((line) => line.startsWith("+"))).toEqual(["+a", "+b", "+c"]);
    expect(supervisor.countChildren().active).toBe(3);
  });

  test("the replacement's start is called before the next turn of the event loop", async () => {
    const cast = newCast();
    await using _supervisor = await startAbc(cast);
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    cast.actor("a").crash();
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
    expect(cast.script).toEqual(["+a"]);
    expect(turned).toBe(false);
  });

  test("an exited promise that rejects is a crash", async () => {
    const cast = newCast();
    const events: SupervisorEvent[] = [];
    let starts = 0;
    const odd = {
      ...cast.spec("odd"),
      start: async () => {
        starts += 1;
        const exited =
          starts === 1 ? Promise.reject(new Error("odd")) : new Promise<never>(() => {});
        return { exited, stop: async () => {}, kill: () => {} };
      },
      shutdown: "brutal_kill" as const,
    };
    const supervisor = await Supervisor.start(
      options({
        children: [{ ...odd, restart: "temporary" }],
        onEvent: (event) => events.push(event),
      }),
    );
    await settle();
    expect(events.map(({ kind }) => kind)).toEqual(["child_started", "child_exited"]);
    expect(events[1]).toMatchObject({ reason: { kind: "crashed" }, asked: false });
    await supervisor.stop({ timeoutMs: 100 });
  });

  test("a restart whose start fails is another failure, and is tried again", async () => {
    const cast = newCast();
    let tries = 0;
    const shaky = cast.spec("b", {
      before: () => {
        tries += 1;
        if (tries === 2 || tries === 3) throw new Error("not yet");
      },
    });
    const events: string[] = [];
    await using supervisor = await Supervisor.start(
      options({
        strategy: "rest_for_one",
        children: [cast.spec("a"), shaky, cast.spec("c")],
        onEvent: ({ kind, id }) => events.push(`${kind} ${id}`),
      }),
    );
    cast.script.length = 0;
    cast.actor("b").crash();
    await settle();
    expect(cast.script).toEqual(["-c", "+b", "+c"]);
    expect(tries).toBe(4);
    expect(events.filter((line) => line.startsWith("child_start_failed"))).toHaveLength(2);
    expect(supervisor.countChildren().active).toBe(3);
  });

  test("a restart waits as long as its backoff says, and the others wait along", async () => {
    const cast = newCast();
    const delays: number[] = [];
    await using supervisor = await startAbc(cast, {
      strategy: "rest_for_one",
      backoff: { baseMs: 500, factor: 2, maxMs: 1000 },
      onEvent: (event) => event.kind === "child_restarting" && delays.push(event.delayMs),
    });
    cast.actor("b").crash();
    await settle();
    cast.actor("b").crash();
    await settle();
    expect(delays).toEqual([0, 500]);
    expect(supervisor.whichChildren().map(({ state }) => state)).toEqual([
      "running",
      "restarting",
      "restarting",
    ]);
    await until(() => supervisor.countChildren().active === 3, "all to run again");
    expect(cast.script).toEqual(["-c", "+b", "+c", "-c", "+b", "+c"]);
  });

  test("a crash before a waiting one takes the waiting ones along", async () => {
    const cast = newCast();
    await using supervisor = await startAbc(cast, {
      strategy: "rest_for_one",
      maxSeconds: 3600,
      backoff: { baseMs: 100_000, factor: 1, maxMs: 100_000 },
    });
    cast.actor("b").crash();
    await settle();
    cast.actor("b").crash();
    await settle();
    cast.script.length = 0;
    cast.actor("a").crash();
    await settle();
    expect(cast.script).toEqual(["+a", "+b", "+c"]);
    expect(supervisor.countChildren().active).toBe(3);
  });
});

describe("giving up", () => {
  test("a supervisor whose child fails too often stops the others and exits with shutdown", async () => {
    const cast = newCast();
    const events: SupervisorEvent[] = [];
    const supervisor = await startAbc(cast, { maxRestarts: 1, onEvent: (e) => events.push(e) });
    cast.actor("b").crash();
    await settle();
    cast.actor("b").crash();
    expect((await supervisor.exited).kind).toBe("shutdown");
    expect(cast.script).toEqual(["+b", "-c", "-a"]);
    expect(events.find(({ kind }) => kind === "gave_up")).toMatchObject({ id: "b", failures: 2 });
    expect(await fails(supervisor.startChild(cast.spec("d")))).toBe("shutting_down");
  });

  test("failures further apart than the window are forgiven for ever", async () => {
    const cast = newCast();
    const own = newClock();
    await using supervisor = await startAbc(cast, { clock: own, maxRestarts: 1, maxSeconds: 5 });
    for (let i = 0; i < 10; i += 1) {
      cast.actor("a").crash();
      await settle();
      own.advance(5001);
    }
    expect(supervisor.tree().children[0]).toMatchObject({ state: "running", restarts: 10 });
  });

  test("it escalates through two levels until one level bears it", async () => {
    const cast = newCast();
    const leaf = supervisorSpec({
      ...options({ id: "leaf", maxRestarts: 1, children: [cast.spec("x")] }),
      restart: "permanent",
    });
    const middle = supervisorSpec({
      ...options({
        id: "middle",
        maxRestarts: 1,
        strategy: "one_for_all",
        children: [cast.spec("n"), leaf],
      }),
      restart: "permanent",
    });
    await using top = await Supervisor.start(options({ children: [middle] }));
    cast.script.length = 0;
    const crashTwice = async () => {
      for (let i = 0; i < 2; i += 1) {
        cast.actor("x").crash();
        await settle();
      }
    };
    await crashTwice();
    expect(cast.script).toEqual(["+x", "-n", "+n", "+x"]);
    expect(top.tree().children[0]).toMatchObject({ restarts: 0 });
    cast.script.length = 0;
    await crashTwice();
    expect(cast.script).toEqual(["+x", "-n", "+n", "+x"]);
    expect(top.tree().children[0]).toMatchObject({ id: "middle", state: "running", restarts: 1 });
  });

  test.each(["temporary", "transient"] as const)(
    "a %s supervisor that gave up stays down, and its siblings never notice",
    async (restart) => {
      const cast = newCast();
      const service = supervisorSpec({
        ...options({ id: "service", maxRestarts: 0, children: [cast.spec("x")] }),
        restart,
      });
      await using tenant = await Supervisor.start(options({ children: [cast.spec("a")] }));
      await tenant.startChild(service);
      cast.actor("x").crash();
      await settle();
      expect(tenant.findChild("service")).toBeUndefined();
      expect(tenant.countChildren()).toMatchObject({
        active: 1,
        specs: restart === "temporary" ? 1 : 2,
      });
      expect(cast.script).toEqual(["+a", "+x"]);
    },
  );
});

describe("children that come and go", () => {
  test("a child is added, stopped, started again, stopped and dropped", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({}));
    const child = await supervisor.startChild(cast.spec("a"));
    expect(child).toBe(cast.actor("a"));
    expect(await fails(supervisor.startChild(cast.spec("a")))).toBe("already_exists");
    expect(await fails(supervisor.restartChild("a"))).toBe("conflict");
    expect(await fails(supervisor.deleteChild("a"))).toBe("conflict");
    await supervisor.terminateChild("a");
    expect(supervisor.whichChildren()).toMatchObject([
      { id: "a", state: "stopped", child: undefined },
    ]);
    await supervisor.terminateChild("a");
    await supervisor.restartChild("a");
    await supervisor.terminateChild("a");
    await supervisor.deleteChild("a");
    expect(supervisor.countChildren()).toEqual({ specs: 0, active: 0, supervisors: 0, workers: 0 });
    expect(await fails(supervisor.terminateChild("a"))).toBe("not_found");
    expect(cast.script).toEqual(["+a", "-a", "+a", "-a"]);
  });

  test("a child that does not start leaves nothing behind", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({}));
    const broken = cast.spec("a", {
      before: () => {
        throw new SoloError("startup_failed", "no");
      },
    });
    expect(await fails(supervisor.startChild(broken))).toBe("startup_failed");
    expect(supervisor.countChildren().specs).toBe(0);
  });

  test("a temporary child is dropped when it ends and when it is terminated", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({}));
    await supervisor.startChild(cast.spec("a", { restart: "temporary" }));
    await supervisor.startChild(cast.spec("b", { restart: "temporary" }));
    cast.actor("a").end({ kind: "normal" });
    await settle();
    await supervisor.terminateChild("b");
    expect(supervisor.countChildren().specs).toBe(0);
  });

  test("under one_for_one a child that starts slowly holds up nobody", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({}));
    const gate = Promise.withResolvers<void>();
    const slow = supervisor.startChild(cast.spec("slow", { before: () => gate.promise }));
    await supervisor.startChild(cast.spec("quick"));
    cast.actor("quick").crash();
    await settle();
    expect(cast.script).toEqual(["+quick", "+quick"]);
    gate.resolve();
    await slow;
  });

  test("terminating a child that starts cancels its start", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(options({}));
    const spec = cast.spec("a", {
      before: (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("off"))),
        ),
    });
    const starting = fails(supervisor.startChild(spec));
    await supervisor.terminateChild("a");
    expect(await starting).toBe("cancelled");
    expect(supervisor.countChildren().specs).toBe(0);
  });

  test("terminating a child that waits for its restart ends the wait", async () => {
    const cast = newCast();
    await using supervisor = await startAbc(cast, {
      maxSeconds: 3600,
      backoff: { baseMs: 100_000, factor: 1, maxMs: 100_000 },
    });
    cast.actor("a").crash();
    await settle();
    cast.actor("a").crash();
    await settle();
    expect(supervisor.whichChildren()[0]?.state).toBe("restarting");
    await supervisor.terminateChild("a");
    expect(supervisor.whichChildren()[0]?.state).toBe("stopped");
  });

  test("commands beyond the bound are refused, and those before it are done", async () => {
    const cast = newCast();
    const gate = Promise.withResolvers<void>();
    await using supervisor = await Supervisor.start(options({ strategy: "rest_for_one" }));
    const first = supervisor.startChild(cast.spec("first", { before: () => gate.promise }));
    const rest = Array.from({ length: 10_005 }, (_, at) =>
      fails(supervisor.startChild(cast.spec(at % 2 === 0 ? "even" : "odd"))),
    );
    gate.resolve();
    await first;
    const answers = await Promise.all(rest);
    expect(answers.filter((answer) => answer === "overloaded")).toHaveLength(6);
    expect(answers.filter((answer) => answer === "no failure")).toHaveLength(2);
  });
});

describe("the account", () => {
  test("a listener that throws changes nothing", async () => {
    const cast = newCast();
    await using supervisor = await Supervisor.start(
      options({
        children: abc(cast),
        onEvent: () => {
          throw new Error("listener");
        },
      }),
    );
    cast.actor("a").crash();
    await settle();
    expect(supervisor.countChildren().active).toBe(3);
  });

  test("the tree shows every level and survives JSON", async () => {
    const cast = newCast();
    const nested = supervisorSpec({
      ...options({ id: "tenants", children: [cast.spec("acme")] }),
      restart: "permanent",
    });
    await using top = await Supervisor.start(options({ children: [cast.spec("store"), nested] }));
    cast.actor("acme").crash();
    await settle();
    expect(JSON.parse(JSON.stringify(top.tree()))).toEqual({
      id: "top",
      type: "supervisor",
      state: "running",
      restarts: 0,
      children: [
        { id: "store", type: "worker", state: "running", restarts: 0, children: [] },
        {
          id: "tenants",
          type: "supervisor",
          state: "running",
          restarts: 0,
          children: [{ id: "acme", type: "worker", state: "running", restarts: 1, children: [] }],
        },
      ],
    });
  });
});
