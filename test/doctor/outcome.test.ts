/** What an attack is expected to come to, and whether it did. */
import { describe, expect, test } from "vitest";
import { ERRORS } from "#base/errors.ts";
import { ATTACKS } from "#doctor/attacks/index.ts";
import { isExpected, mayLive, namesReply, parseOutcomes } from "#doctor/outcome.ts";

test.for([
  ["refused startup_failed", "refused startup_failed or refused compile_failed", true],
  ["refused startup_timeout", "refused startup_failed or refused compile_failed", false],
  ["service_crashed → timeout", "deadline_exceeded or service_crashed → timeout or memory", true],
  ["service_crashed → exception", "deadline_exceeded or service_crashed → timeout", false],
  ["replied → lives", "refused startup_failed; replied → lives", true],
  ["replied → lives", "replied → exception", false],
  ["service_crashed → exception → quarantined", "service_crashed → exception", false],
  ["service_crashed → exception", "service_crashed → exception → quarantined", false],
  ['"nothing" → lives', '"nothing" → lives', true],
  ['"a process" → lives', '"nothing" → lives', false],
] as const)("%s, where %s is expected: %s", ([outcome, expected, is]) => {
  expect(isExpected(outcome, expected)).toBe(is);
});

test("an expectation says whether its instance may live, and whether its reply matters", () => {
  expect(mayLive("deadline_exceeded → lives or timeout")).toBe(true);
  expect(mayLive("refused startup_failed; replied → exception")).toBe(false);
  expect(namesReply('"nothing" → lives')).toBe(true);
  expect(namesReply("replied → lives")).toBe(false);
});

describe("every attack", () => {
  const ENDS = ["lives", "exception", "timeout", "memory", "limit", "cell"];

  test("has a name of its own", () => {
    expect(new Set(ATTACKS.map(({ name }) => name)).size).toBe(ATTACKS.length);
  });

  test("expects codes that there are, and ends that a crash can name", () => {
    for (const { name, expect: expected } of ATTACKS) {
      for (const { places } of parseOutcomes(expected)) {
        const [heard = [], ends = [], then = []] = places;
        const codes = heard
          .map((word) => word.replace(/^refused /, ""))
          .filter((word) => word !== "replied" && !word.startsWith('"'));
        for (const code of codes) expect(Object.keys(ERRORS), name).toContain(code);
        for (const end of ends) expect(ENDS, name).toContain(end);
        for (const word of then) expect(word, name).toBe("quarantined");
      }
    }
  });
});
