/** An answer as people read it (src/cli/render/record.ts). */
import { expect, test } from "vitest";
import { record } from "#cli/render/record.ts";

const plain = (_: string, text: string): string => text;

test("what is empty is left out, what is nested is indented, and lists of records are tables", () => {
  const answer = {
    state: "running",
    memory_bytes: 2048,
    metadata: {},
    handlers: [],
    version: undefined,
    last_crash: { reason: "timeout" },
    instances: [
      { slot: 0, state: "running" },
      { slot: 1, state: "crashed", restarts: 2 },
    ],
  };
  expect(record(answer, plain).split("\n")).toEqual([
    "state       running",
    "memory      2.0 KiB",
    "last crash",
    "  reason  timeout",
    "instances",
    "  SLOT  STATE    RESTARTS",
    "     0  running         -",
    "     1  crashed         2",
  ]);
});
