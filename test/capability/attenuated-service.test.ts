import { describe, expect, test } from "vitest";
import {
  type CallRule,
  checkRules,
  type Constraint,
  refuseCall,
} from "#capability/attenuated-service.ts";

const allows = (rules: readonly CallRule[], handler: string, ...args: unknown[]): boolean =>
  refuseCall(rules, { handler, args }) === undefined;
const withArg = (constraint: Omit<Constraint, "index">): CallRule[] => [
  { handler: "calls.x", args: [{ index: 0, ...constraint }] },
];

describe("an attenuated service", () => {
  test("exposes the handlers that are named and no others", () => {
    const rules = [{ handler: "calls.get" }, { handler: "fetch.*" }];
    expect(allows(rules, "calls.get")).toBe(true);
    expect(allows(rules, "fetch.POST", "/x")).toBe(true);
    expect(allows(rules, "casts.get")).toBe(false);
    expect(allows(rules, "calls.getAll")).toBe(false);
    expect(refuseCall(rules, { handler: "calls.set", args: [] })).toEqual({
      why: "handler",
      allowed: ["calls.get", "fetch.*"],
    });
    expect(allows([], "calls.get")).toBe(false);
  });

  test("holds arguments to values, choices, ranges and beginnings", () => {
    expect(allows(withArg({ equals: "a" }), "calls.x", "a")).toBe(true);
    expect(allows(withArg({ equals: 1 }), "calls.x", "1")).toBe(false);
    expect(allows(withArg({ one_of: ["a", null] }), "calls.x", null)).toBe(true);
    expect(allows(withArg({ one_of: ["a"] }), "calls.x")).toBe(false);
    expect(allows(withArg({ min: 1, max: 5 }), "calls.x", 5)).toBe(true);
    expect(allows(withArg({ min: 1 }), "calls.x", Number.NaN)).toBe(false);
    expect(allows(withArg({ max: 5 }), "calls.x", "3")).toBe(false);
    expect(allows(withArg({ prefix: "/public/" }), "calls.x", "/public/a")).toBe(true);
    expect(allows(withArg({ prefix: "/public/" }), "calls.x", { startsWith: () => true })).toBe(
      false,
    );
  });

  test("looks into arguments by their own fields only", () => {
    const rules = withArg({ path: ["user", "role"], equals: "guest" });
    expect(allows(rules, "calls.x", { user: { role: "guest" } })).toBe(true);
    expect(allows(rules, "calls.x", { user: Object.create({ role: "guest" }) as object })).toBe(
      false,
    );
    expect(
      allows(withArg({ path: ["constructor", "name"], equals: "Object" }), "calls.x", {}),
    ).toBe(false);
  });

  test("a further rule for the same handler allows what the first does not", () => {
    const rules = [...withArg({ equals: 1 }), ...withArg({ equals: 2 })];
    expect(allows(rules, "calls.x", 2)).toBe(true);
    expect(allows(rules, "calls.x", 3)).toBe(false);
    expect(allows([{ handler: "calls.x", max_args: 1 }], "calls.x", 1, 2)).toBe(false);
  });

  test("rules that mean nothing are refused by field", () => {
    const fields = (rules: CallRule[]) => checkRules(rules).map(({ field }) => field);
    expect(fields([{ handler: "calls.get" }])).toEqual([]);
    expect(fields([{ handler: "get" }])).toEqual(["calls.0.handler"]);
    expect(fields([{ handler: "calls.g*" }])).toEqual(["calls.0.handler"]);
    expect(fields(withArg({}))).toEqual(["calls.0.args.0"]);
    expect(fields(withArg({ equals: 1, prefix: "a" }))).toEqual(["calls.0.args.0"]);
    expect(fields(withArg({ min: Number.POSITIVE_INFINITY }))).toEqual(["calls.0.args.0"]);
    const choices = Array.from({ length: 100 }, (_, n) => `${n}${"c".repeat(200)}`);
    expect(fields(withArg({ one_of: choices }))).toEqual(["calls"]);
    expect(fields([{ handler: "calls.x", args: [{ index: -1, equals: 1 }] }])).toEqual([
      "calls.0.args.0",
    ]);
  });
});
