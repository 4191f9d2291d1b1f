import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { restartDelayMs } from "#supervisor/backoff.ts";
import type { ExitReason, RestartKind } from "#supervisor/child.ts";
import {
  decideExit,
  type ChildFacts,
  type Decision,
  type Failure,
  type RestartRules,
  type Strategy,
} from "#supervisor/decide.ts";

const crashed: ExitReason = { kind: "crashed", error: new Error("boom") };
const rules = (strategy: Strategy, more: Partial<RestartRules> = {}): RestartRules => ({
  strategy,
  maxRestarts: 3,
  maxSeconds: 5,
  ...more,
});
const children = (kinds: Record<string, RestartKind>, down: readonly string[] = []) =>
  new Map<string, ChildFacts>(
    Object.entries(kinds).map(([id, restart]) => [id, { restart, alive: !down.includes(id) }]),
  );
const decide = (
  strategy: Strategy,
  kinds: Record<string, RestartKind>,
  id: string,
  reason: ExitReason = crashed,
): Decision =>
  decideExit(
    { rules: rules(strategy), children: children(kinds, [id]), failures: [] },
    { id, reason, now: 0 },
  );

const three = { a: "permanent", b: "permanent", c: "permanent" } as const;

describe("which children come back", () => {
  const reasons: readonly ExitReason[] = [
    { kind: "normal" },
    { kind: "shutdown" },
    { kind: "shutdown", why: "told to" },
    { kind: "killed" },
    crashed,
  ];

  test.each(reasons)("a permanent child is restarted after exit %o", (reason) => {
    expect(decide("one_for_one", { a: "permanent" }, "a", reason).kind).toBe("restart");
  });
  test("a transient child that exits normally is not restarted, and its spec is kept", () => {
    expect(decide("one_for_one", { a: "transient" }, "a", { kind: "normal" }).kind).toBe("leave");
  });
  test("a transient child that exits with shutdown is not restarted", () => {
    const reason: ExitReason = { kind: "shutdown", why: "told to" };
    expect(decide("one_for_one", { a: "transient" }, "a", reason).kind).toBe("leave");
  });
  test("a transient child that crashes or is killed is restarted", () => {
    expect(decide("one_for_one", { a: "transient" }, "a").kind).toBe("restart");
    expect(decide("one_for_one", { a: "transient" }, "a", { kind: "killed" }).kind).toBe("restart");
  });
  test.each(reasons)("a temporary child is never restarted: exit %o", (reason) => {
    expect(decide("one_for_all", { a: "temporary" }, "a", reason)).toEqual({ kind: "forget" });
  });
});

describe("whom a restart concerns", () => {
  test("one_for_one: the child alone", () => {
    expect(decide("one_for_one", three, "b")).toMatchObject({ stop: [], start: ["b"] });
  });
  test("rest_for_one: it and those started after it, stopped in reverse", () => {
    expect(decide("rest_for_one", three, "a")).toMatchObject({
      stop: ["c", "b"],
      start: ["a", "b", "c"],
    });
    expect(decide("rest_for_one", three, "b")).toMatchObject({ stop: ["c"], start: ["b", "c"] });
  });
  test("one_for_all: all, stopped in reverse and started in order", () => {
    expect(decide("one_for_all", three, "b")).toMatchObject({
      stop: ["c", "a"],
      start: ["a", "b", "c"],
    });
  });
  test("temporary children among them are stopped and forgotten", () => {
    const kinds = { a: "permanent", b: "temporary", c: "permanent" } as const;
    expect(decide("one_for_all", kinds, "a")).toMatchObject({
      stop: ["c", "b"],
      forget: ["b"],
      start: ["a", "c"],
    });
  });
});

describe("restart intensity", () => {
  const failuresAt = (...times: number[]): Failure[] => times.map((at) => ({ id: "a", at }));
  const at = (now: number, failures: readonly Failure[]) =>
    decideExit(
      { rules: rules("one_for_one"), children: children({ a: "permanent" }), failures },
      { id: "a", reason: crashed, now },
    );

  test("as many restarts as allowed are made", () => {
    expect(at(2000, failuresAt(0, 1000)).kind).toBe("restart");
  });
  test("one more within the window means giving up", () => {
    expect(at(2000, failuresAt(0, 500, 1000)).kind).toBe("give_up");
  });
  test("a failure exactly at the edge of the window still counts", () => {
    expect(at(5000, failuresAt(0, 500, 1000)).kind).toBe("give_up");
    expect(at(5001, failuresAt(0, 500, 1000)).kind).toBe("restart");
  });
  test("no restart allowed means giving up at the first failure", () => {
    const decision = decideExit(
      {
        rules: rules("one_for_one", { maxRestarts: 0 }),
        children: children({ a: "permanent" }),
        failures: [],
      },
      { id: "a", reason: crashed, now: 0 },
    );
    expect(decision.kind).toBe("give_up");
  });
});

const anyRules = fc.record({
  strategy: fc.constantFrom<Strategy>("one_for_one", "rest_for_one", "one_for_all"),
  maxRestarts: fc.integer({ min: 0, max: 6 }),
  maxSeconds: fc.integer({ min: 1, max: 10 }),
});
const anyReason = fc.constantFrom<ExitReason>(
  { kind: "normal" },
  { kind: "shutdown" },
  { kind: "killed" },
  crashed,
);
const anyStep = fc.record({
  which: fc.nat({ max: 20 }),
  reason: anyReason,
  wait: fc.integer({ min: 0, max: 4000 }),
});

/** OTP's description, acted out with arrays, one exit after another. */
class Naive {
  readonly specs: { id: string; restart: RestartKind; up: boolean }[];
  readonly times: number[] = [];
  readonly rules: RestartRules;
  over = false;

  constructor(restarts: readonly RestartKind[], given: RestartRules) {
    this.specs = restarts.map((restart, at) => ({ id: `c${at}`, restart, up: true }));
    this.rules = given;
  }

  exit(id: string, reason: ExitReason, now: number): string[] {
    const log: string[] = [];
    const child = this.specs.find((spec) => spec.id === id)!;
    child.up = false;
    const good = reason.kind === "normal" || reason.kind === "shutdown";
    const back = child.restart === "permanent" || (child.restart === "transient" && !good);
    if (!back) {
      if (child.restart === "temporary") this.specs.splice(this.specs.indexOf(child), 1);
      return log;
    }
    this.times.push(now);
    const recent = this.times.filter((time) => time >= now - this.rules.maxSeconds * 1000);
    if (recent.length > this.rules.maxRestarts) {
      this.over = true;
      return ["give up"];
    }
    const from = this.rules.strategy === "one_for_all" ? 0 : this.specs.indexOf(child);
    const to = this.rules.strategy === "one_for_one" ? from + 1 : this.specs.length;
    const group = this.specs.slice(from, to);
    for (const spec of group.toReversed()) {
      if (!spec.up) continue;
      spec.up = false;
      log.push(`-${spec.id}`);
    }
    for (const spec of group) {
      if (spec.restart === "temporary") this.specs.splice(this.specs.indexOf(spec), 1);
      else {
        spec.up = true;
        log.push(`+${spec.id}`);
      }
    }
    return log;
  }
}

test("over any history of exits the decisions are those of OTP's description", () => {
  const anyKinds = fc.array(fc.constantFrom<RestartKind>("permanent", "transient", "temporary"), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(anyRules, anyKinds, fc.array(anyStep, { maxLength: 30 }), (given, kinds, steps) => {
      const naive = new Naive(kinds, given);
      const mine = new Map<string, { restart: RestartKind; alive: boolean }>();
      kinds.forEach((restart, at) => mine.set(`c${at}`, { restart, alive: true }));
      let failures: readonly Failure[] = [];
      let now = 0;
      for (const { which, reason, wait } of steps) {
        now += wait;
        const running = [...mine].filter(([, { alive }]) => alive).map(([id]) => id);
        const id = running[which % running.length];
        if (id === undefined || naive.over) return;
        mine.get(id)!.alive = false;
        const log: string[] = [];
        const decision = decideExit(
          { rules: given, children: mine, failures },
          { id, reason, now },
        );
        if (decision.kind === "give_up") log.push("give up");
        if (decision.kind === "forget") mine.delete(id);
        if (decision.kind === "restart") {
          failures = decision.failures;
          expect(failures.length).toBeLessThanOrEqual(given.maxRestarts);
          log.push(...decision.stop.map((stopped) => `-${stopped}`));
          for (const forgotten of decision.forget) mine.delete(forgotten);
          for (const started of decision.start) {
            mine.get(started)!.alive = true;
            log.push(`+${started}`);
          }
        }
        expect(log).toEqual(naive.exit(id, reason, now));
        expect([...mine].map(([key, { alive }]) => [key, alive])).toEqual(
          naive.specs.map((spec) => [spec.id, spec.up]),
        );
      }
    }),
    { numRuns: 500 },
  );
});

describe("backoff", () => {
  const anyBackoff = fc.record({
    baseMs: fc.integer({ min: 0, max: 60_000 }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    maxMs: fc.integer({ min: 60_000, max: 3_600_000 }),
  });

  test("the first restart comes at once, later ones are never sooner than those before", () => {
    fc.assert(
      fc.property(
        anyRules,
        anyBackoff,
        fc.integer({ min: 1, max: 100 }),
        (given, backoff, attempt) => {
          expect(restartDelayMs({ ...given, backoff, attempt: 1 })).toBe(0);
          expect(
            restartDelayMs({ ...given, backoff, attempt: attempt + 1 }),
          ).toBeGreaterThanOrEqual(restartDelayMs({ ...given, backoff, attempt }));
        },
      ),
    );
  });

  test("delays never keep a child that always fails from exceeding the intensity", () => {
    fc.assert(
      fc.property(
        anyRules,
        anyBackoff,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (given, backoff, share) => {
          // It lives for a part of what is left of the window, then fails again.
          const lives = (share * given.maxSeconds * 1000) / (2 * Math.max(given.maxRestarts, 1));
          let failures: readonly Failure[] = [];
          let now = 0;
          for (let count = 1; ; count += 1) {
            const decision = decideExit(
              { rules: { ...given, backoff }, children: children({ a: "permanent" }), failures },
              { id: "a", reason: crashed, now },
            );
            if (decision.kind !== "restart") {
              expect(decision.kind).toBe("give_up");
              expect(count).toBe(given.maxRestarts + 1);
              return;
            }
            failures = decision.failures;
            now += decision.delayMs + lives;
          }
        },
      ),
    );
  });

  test("one child's failures do not delay another's first restart", () => {
    const backoff = { baseMs: 100, factor: 2, maxMs: 10_000 };
    const decision = decideExit(
      {
        rules: rules("one_for_one", { maxRestarts: 10, maxSeconds: 60, backoff }),
        children: children({ a: "permanent", b: "permanent" }),
        failures: [
          { id: "a", at: 0 },
          { id: "a", at: 1 },
        ],
      },
      { id: "b", reason: crashed, now: 2 },
    );
    expect(decision).toMatchObject({ attempt: 1, delayMs: 0 });
  });
});
