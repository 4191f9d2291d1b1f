import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { operations } from "#client/operations.ts";
import { deadlineMs, wireRequest } from "#client/request.ts";

describe("a request", () => {
  test("puts path fields into the path and the rest of a GET into the query", () => {
    expect(wireRequest(operations.Logs, { service_id: "a b", follow: true, limit: 5 })).toEqual({
      method: "GET",
      target: "/services/a%20b/logs?follow=true&limit=5",
    });
  });

  test("puts the rest of a POST into a JSON body and leaves out what is undefined", () => {
    const input = { service_id: "c", name: "inc", args: [1], timeout_ms: undefined };
    expect(wireRequest(operations.Call, input)).toEqual({
      method: "POST",
      target: "/services/c/calls/inc",
      body: '{"args":[1]}',
    });
  });

  test("stays below its resource whatever the name holds", () => {
    const names = fc.string({ unit: "binary-ascii" });
    fc.assert(
      fc.property(names, (name) => {
        let target: string;
        try {
          ({ target } = wireRequest(operations.Status, { service_id: name }));
        } catch {
          return;
        }
        const { pathname } = new URL(`http://kernel${target}`);
        expect(decodeURIComponent(pathname)).toBe(`/services/${name}`);
      }),
    );
  });

  test.each(["", ".", "..", undefined])("without a usable name is refused: %j", (name) => {
    expect(() => wireRequest(operations.Kill, { service_id: name })).toThrow("service_id");
  });

  test("that cannot be JSON is refused", () => {
    const input = { service_id: "c", name: "n", args: [1n] };
    expect(() => wireRequest(operations.Call, input)).toThrow("JSON");
  });
});

describe("the deadline", () => {
  test("is what was asked for", () => {
    expect(deadlineMs({ timeout_ms: 1_000_000 }, 5)).toBe(5);
  });

  test("is longer than what the input lets the kernel take", () => {
    expect(deadlineMs({ timeout_ms: 1_000_000 }, undefined)).toBeGreaterThan(1_000_000);
    const input = { restart_limits: { startup_timeout_ms: 2_000_000 } };
    expect(deadlineMs(input, undefined)).toBeGreaterThan(2_000_000);
  });
});
