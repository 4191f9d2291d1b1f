/** Whose source is compiled next (src/kernel/compilers/turns.ts, waiting.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideTurns, TURN_MS, type Held } from "#kernel/compilers/turns.ts";
import { Waiting, WAITING_LIMITS } from "#kernel/compilers/waiting.ts";

const tenant = fc.constantFrom("a", "b", "c", "d", "e", "f");
const held = fc.record({
  tenant,
  isAtWork: fc.boolean(),
  sinceMs: fc.integer({ min: 0, max: 1000 }),
  usedMs: fc.integer({ min: 0, max: 1000 }),
});
const view = fc
  .record({
    held: fc.uniqueArray(held, { selector: (each) => each.tenant, maxLength: 6 }),
    waiting: fc.uniqueArray(tenant),
    spare: fc.nat(3),
    nowMs: fc.integer({ min: 1000, max: 2000 }),
  })
  .map(({ spare, ...rest }) => ({ ...rest, limit: Math.max(1, rest.held.length + spare) }));

describe("turns", () => {
  test("hold no more processes than the limit, and none twice (invariant 1)", () => {
    fc.assert(
      fc.property(view, ({ held: before, limit, ...rest }) => {
        const { end, begin } = decideTurns({ held: before, limit, ...rest });
        const after = [
          ...before.map((each) => each.tenant).filter((each) => !end.includes(each)),
          ...begin,
        ];
        expect(new Set(after).size).toBe(after.length);
        expect(after.length).toBeLessThanOrEqual(limit);
      }),
    );
  });

  test("end nobody at work, nobody whose turn is young, and nobody in vain (invariant 2)", () => {
    fc.assert(
      fc.property(view, (all) => {
        const { end, begin } = decideTurns(all);
        for (const name of end) {
          const { isAtWork, sinceMs } = all.held.find((each) => each.tenant === name)!;
          expect(isAtWork).toBe(false);
          if (all.waiting.some((each) => each === name))
            expect(all.nowMs - sinceMs).toBeGreaterThanOrEqual(TURN_MS);
        }
        if (end.length > 0) expect(begin.length).toBeGreaterThanOrEqual(end.length);
      }),
    );
  });

  test("leave no place empty while somebody waits for one (invariant 3)", () => {
    fc.assert(
      fc.property(view, (all) => {
        const { end, begin, goOn } = decideTurns(all);
        const served = new Set([...begin, ...goOn, ...all.held.map((each) => each.tenant)]);
        const left = all.waiting.filter((name) => !served.has(name));
        if (left.length > 0) {
          const kept = all.held.filter((each) => !end.includes(each.tenant));
          expect(kept.length + begin.length).toBeGreaterThanOrEqual(all.limit);
        }
      }),
    );
  });

  test("the one that has been idle longest goes first", () => {
    const idle = (name: string, usedMs: number): Held => ({
      tenant: name,
      isAtWork: false,
      sinceMs: 0,
      usedMs,
    });
    expect(
      decideTurns({
        held: [idle("a", 30), idle("b", 10), idle("c", 20)],
        waiting: ["d"],
        limit: 3,
        nowMs: 40,
      }),
    ).toEqual({ end: ["b"], begin: ["d"], goOn: [] });
  });

  test("everybody who waits is served, however many bombs the others send", () => {
    fc.assert(
      fc.property(
        fc.array(tenant, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        (requests, limit) => {
          const waiting = new Waiting<{ chars: number }>();
          for (const each of requests) waiting.add(each, { chars: 1 });
          let places: Held[] = [];
          let nowMs = 0;
          const firsts: string[] = [];
          while (waiting.size > 0) {
            const { end, begin, goOn } = decideTurns({
              held: places,
              waiting: waiting.tenants,
              limit,
              nowMs,
            });
            places = places.filter((each) => !end.includes(each.tenant));
            for (const each of begin) {
              places.push({ tenant: each, isAtWork: false, sinceMs: nowMs, usedMs: nowMs });
            }
            for (const each of [...begin, ...goOn]) {
              if (!firsts.includes(each)) firsts.push(each);
              waiting.take(each);
            }
            expect(begin.length + goOn.length).toBeGreaterThan(0);
            // Each one is a bomb: it lasts a whole turn.
            nowMs += TURN_MS;
          }
          expect(firsts).toEqual([...new Set(requests)]);
        },
      ),
    );
  });
});

describe("what waits", () => {
  const refusal = (add: () => void): unknown => {
    try {
      add();
      return undefined;
    } catch (error) {
      return error;
    }
  };

  test("of one tenant is bounded in number, and the others' is taken", () => {
    const waiting = new Waiting<{ chars: number }>();
    const { requests } = WAITING_LIMITS.tenant;
    for (let at = 0; at < requests; at += 1) waiting.add("a", { chars: 1 });
    expect(refusal(() => waiting.add("a", { chars: 1 }))).toMatchObject({
      code: "overloaded",
      options: { retryAfterMs: 1000 },
    });
    expect(refusal(() => waiting.add("b", { chars: 1 }))).toBeUndefined();
  });

  test("is bounded in size, for one and for all; one alone always has room", () => {
    const waiting = new Waiting<{ chars: number }>();
    const half = WAITING_LIMITS.tenant.chars / 2 + 1;
    for (const each of ["a", "b", "c", "d", "e", "f", "g"]) waiting.add(each, { chars: half });
    expect(refusal(() => waiting.add("a", { chars: half }))).toMatchObject({ code: "overloaded" });
    expect(refusal(() => waiting.add("h", { chars: half }))).toMatchObject({ code: "overloaded" });
    for (const each of waiting.tenants) waiting.take(each);
    expect(refusal(() => waiting.add("a", { chars: half * 20 }))).toBeUndefined();
  });
});
