/** Instances on cells that die (src/kernel/services/replica/runner.ts, instance/instance.ts). */
import { setImmediate as settle } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Dispatch } from "#kernel/services/messages/dispatch.ts";
import type { Instance } from "#kernel/services/instance/instance.ts";
import type { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import { Runner } from "#kernel/services/replica/runner.ts";
import { FROM_CELL, TO_CELL } from "#wire/messages.ts";
import { until } from "../support/until.ts";
import { message, playedCell, startInstance, type PlayedCell } from "./support.ts";

const never = new AbortController().signal;
const exception = (more: object = {}) =>
  JSON.stringify({
    reason: "exception",
    name: "Error",
    message: "bad",
    stack: "",
    unstarted: [],
    ...more,
  });

interface Moves {
  readonly cells: PlayedCell[];
  readonly current: (Instance | undefined)[];
  readonly relocated: InstanceCrash[];
  now: number;
}

/** A runner that takes a new cell for each start. */
async function run(options: { onCell?: (cell: PlayedCell, n: number) => Promise<void> } = {}) {
  const moves: Moves = { cells: [], current: [], relocated: [], now: 0 };
  const runner = await Runner.start(
    {
      start: async (signal) => {
        const cell = playedCell();
        moves.cells.push(cell);
        await options.onCell?.(cell, moves.cells.length);
        return startInstance(cell, { signal });
      },
      current: (instance) => void moves.current.push(instance),
      learn: () => {},
      relocated: (crash) => void moves.relocated.push(crash),
      stop: (instance, how) => instance.stop(how),
      now: () => moves.now,
      turn: async () => () => {},
      wakeFailed: () => {},
    },
    never,
  );
  return { runner, moves };
}

describe("a runner", () => {
  test("moves an instance whose cell died around it, at once and uncounted (invariant 1)", async () => {
    const { runner, moves } = await run();
    moves.cells[0]!.die();
    await until(() => moves.current.at(-1) !== undefined && moves.cells.length === 2, "the move");
    expect(moves.relocated.map(({ innocent }) => innocent)).toEqual([true]);
    expect(moves.current[1]).toBeUndefined();
    expect(moves.current[2]!.cell).toBe(moves.cells[1]!.cell);
    runner.kill();
    expect(await runner.exited).toEqual({ kind: "killed" });
  });

  test("leaves an instance that had work at hand to its supervisor", async () => {
    const { runner, moves } = await run();
    const sent = message();
    moves.current[0]!.dispatch(sent.dispatch);
    moves.cells[0]!.die({ how: "SIGSEGV" });
    expect(await runner.exited).toMatchObject({ kind: "crashed", error: { innocent: false } });
    expect(sent.ends).toMatchObject([{ code: "outcome_unknown" }]);
    expect(moves.cells).toHaveLength(1);
  });

  test("leaves an exception to its supervisor", async () => {
    const { runner, moves } = await run();
    moves.cells[0]!.say(FROM_CELL.down, 1, 0, exception());
    expect(await runner.exited).toMatchObject({
      kind: "crashed",
      error: { down: { message: "bad" } },
    });
    moves.cells[0]!.die();
  });

  test("tells its supervisor when cells die one after the other", async () => {
    const { runner, moves } = await run();
    for (let n = 0; n < 6; n += 1) {
      await until(
        () => moves.cells.length === n + 1 && moves.current.at(-1) !== undefined,
        `cell ${n}`,
      );
      moves.cells[n]!.die();
    }
    expect(await runner.exited).toMatchObject({ kind: "crashed" });
    expect(moves.relocated).toHaveLength(5);
  });

  test("tries again when a cell dies before the instance is on it", async () => {
    const { runner, moves } = await run({
      onCell: async (cell, n) => {
        if (n < 3) cell.die();
        await settle();
      },
    });
    expect(moves.cells).toHaveLength(3);
    runner.kill();
    await runner.exited;
  });

  test("that is stopped while it moves starts nothing more", async () => {
    const { runner, moves } = await run();
    moves.cells[0]!.die();
    runner.kill();
    const { kind } = await runner.exited;
    expect(["crashed", "killed"]).toContain(kind);
    for (const { cell } of moves.cells) expect(cell.size).toBe(0);
  });
});

describe("an instance", () => {
  test("ends every message when it ends, and hands back what had not begun (invariant 1)", async () => {
    const played = playedCell();
    const back: Dispatch[] = [];
    const instance = await startInstance(played, {
      events: { handBack: (_, all) => void back.push(...all) },
    });
    const sent = Array.from({ length: 4 }, () => message());
    for (const { dispatch } of sent) instance.dispatch(dispatch);
    played.say(FROM_CELL.reply, 1, 1, '"done"');
    played.say(FROM_CELL.down, 1, 0, exception({ current: 2, unstarted: [3, 4] }));
    await instance.exited;
    expect(sent[0]!.ends).toEqual(['"done"']);
    expect(sent[1]!.ends).toMatchObject([
      { code: "service_crashed", message: expect.stringContaining("bad") as string },
    ]);
    expect(back).toEqual([sent[2]!.dispatch, sent[3]!.dispatch]);
    played.die();
  });

  test("hands back what was still on its way when it ended", async () => {
    const played = playedCell();
    const back: Dispatch[] = [];
    const instance = await startInstance(played, {
      events: { handBack: (_, all) => void back.push(...all) },
    });
    const sent = Array.from({ length: 3 }, () => message());
    for (const { dispatch } of sent) instance.dispatch(dispatch);
    played.say(FROM_CELL.down, 1, 0, exception({ current: 1, unstarted: [], seen: 1 }));
    await instance.exited;
    expect(sent[0]!.ends).toMatchObject([{ code: "service_crashed" }]);
    expect(back).toEqual([sent[1]!.dispatch, sent[2]!.dispatch]);
    played.die();
  });

  test("says nothing of ids it was never given (invariant 3)", async () => {
    const played = playedCell();
    const instance = await startInstance(played);
    const sent = message();
    instance.dispatch(sent.dispatch);
    for (const kind of [
      FROM_CELL.reply,
      FROM_CELL.failed,
      FROM_CELL.head,
      FROM_CELL.body,
      FROM_CELL.bodyFailed,
      FROM_CELL.credit,
    ]) {
      played.say(kind, 1, 999, "{}");
      played.say(kind, 77, 1, "{}");
    }
    played.say(FROM_CELL.unchanged, 1, 0);
    played.say(FROM_CELL.reply, 1, 1, "1");
    played.say(FROM_CELL.reply, 1, 1, "2");
    await until(() => sent.ends.length > 0, "the reply");
    await settle();
    expect([sent.ends, played.cell.isGone]).toEqual([["1"], false]);
    played.die();
  });

  test("on a cell that speaks another language is ended with it (invariant 3)", async () => {
    const wrong: [number, string][] = [
      [99, ""],
      [FROM_CELL.log, "{}"],
      [FROM_CELL.request, "{"],
      [FROM_CELL.down, '{"reason":"unheard"}'],
      [FROM_CELL.started, "[]"],
      [FROM_CELL.state, "x".repeat(3001)],
    ];
    for (const [kind, text] of wrong) {
      const played = playedCell();
      const instance = await startInstance(played);
      played.say(kind, 1, 0, text);
      expect((await instance.exited).kind, String(kind)).toBe("crashed");
      expect(played.cell.isGone).toBe(true);
    }
  });

  test("in durable mode replies only once the state is on disk (invariant 2)", async () => {
    const played = playedCell();
    const stored: PromiseWithResolvers<void>[] = [];
    const state = () => {
      const saved = Promise.withResolvers<void>();
      stored.push(saved);
      return saved.promise;
    };
    const instance = await startInstance(played, { start: { durable: true }, events: { state } });
    const [first, second, third] = [message(), message(), message()];
    for (const { dispatch } of [first, second, third]) instance.dispatch(dispatch);
    played.say(FROM_CELL.state, 1, 0, "[1]");
    played.say(FROM_CELL.reply, 1, 1, "1");
    await until(() => stored.length === 1, "the state");
    await settle();
    expect(first.ends).toEqual([]);
    stored[0]!.resolve();
    await until(() => first.ends.length === 1, "the reply");
    // A disk that fails: no reply, and the next one waits until that state is stored after all.
    played.say(FROM_CELL.state, 1, 0, "[2]");
    played.say(FROM_CELL.reply, 1, 2, "2");
    await until(() => stored.length === 2, "the second state");
    stored[1]!.reject(new Error("full"));
    await until(() => second.ends.length === 1, "the refusal");
    expect(second.ends).toMatchObject([{ code: "unavailable" }]);
    played.say(FROM_CELL.reply, 1, 3, "3");
    await until(() => stored.length === 3, "the second state again");
    expect(third.ends).toEqual([]);
    stored[2]!.resolve();
    await until(() => third.ends.length === 1, "the third reply");
    expect(third.ends).toEqual(["3"]);
    played.die();
  });

  test("is given no more than its window, in number and in size", async () => {
    const played = playedCell();
    const instance = await startInstance(played);
    let given = 0;
    while (instance.hasRoom) {
      instance.dispatch(message().dispatch);
      given += 1;
    }
    expect(given).toBe(64);
    played.die();
    const large = playedCell();
    const other = await startInstance(large);
    const sent = message("call", "x".repeat(8 * 1024 * 1024));
    other.dispatch(sent.dispatch);
    expect(other.hasRoom).toBe(false);
    large.say(FROM_CELL.reply, 1, 1, "1");
    await until(() => other.hasRoom, "room again");
    large.die();
  });

  test("that does not start in time takes its cell with it", async () => {
    const played = playedCell({ starts: false });
    const failed = await startInstance(played, { start: { startupTimeoutMs: -990 } }).catch(
      (error: unknown) => error,
    );
    expect(failed).toMatchObject({ code: "startup_timeout" });
    expect(played.cell.isGone).toBe(true);
  });

  test("that was abandoned while it started is dropped in its cell", async () => {
    const played = playedCell({ starts: false });
    const abort = new AbortController();
    const starting = startInstance(played, { signal: abort.signal });
    abort.abort();
    await expect(starting).rejects.toMatchObject({ down: { reason: "dropped" } });
    await until(() => played.heard.some(({ kind }) => kind === TO_CELL.drop), "the drop");
    played.die();
  });
});
