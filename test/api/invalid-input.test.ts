import { describe, expect, test } from "vitest";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import { invalidInput } from "#api/invalid-input.ts";
import { longForm } from "#api/short-forms.ts";

/** The messages by field, and the hint. */
function refused(name: OperationName, input: unknown) {
  const schema = catalogue[name].input;
  const { error } = schema.safeParse(input);
  const { fields = [], hint = "" } = invalidInput(schema, error!, input).toBody();
  return { ...Object.fromEntries(fields.map(({ field, message }) => [field, message])), hint };
}

const deploy = (extra: object) => refused("Deploy", { service_id: "a", code: "x", ...extra });

describe("a field that does not exist is answered with the one that was meant", () => {
  test.each([
    [{ memory_mb: 5 }, "memory_mb", "limits.memory_mb"],
    [{ limits: { memory: 5 } }, "limits.memory", "limits.memory_mb"],
    [{ startup_timeout_ms: 5 }, "startup_timeout_ms", "restart_limits.startup_timeout_ms"],
    [
      { restart_limits: { max_restart: 5 } },
      "restart_limits.max_restart",
      "restart_limits.max_restarts",
    ],
    [{ instance: 5 }, "instance", "instances"],
    [{ limits: { cpu: 5 } }, "limits.cpu", "limits.cpu_percent"],
    [{ timeout_ms: 5 }, "timeout_ms", "limits.call_timeout_ms"],
  ])("%j", (extra, field, meant) => {
    expect(deploy(extra)).toMatchObject({
      [field]: `is not a field of this request; did you mean ${meant}?`,
    });
  });

  test("and where none was, with those that there are", () => {
    const { hint, elsewhere } = refused("Rollback", {
      service_id: "a",
      elsewhere: "r_1",
    }) as Record<string, string>;
    expect(elsewhere).toBe("is not a field of this request");
    expect(hint).toMatch(/^The request takes: tenant_id, service_id, revision, /);
  });
});

describe("a wrong value is answered with what it must be", () => {
  test.each([
    [{ restart: "always" }, "restart", "must be one of permanent, transient, temporary"],
    [
      { persistence: { mode: "durable" } },
      "persistence",
      "must be one of stateless, hybrid, durable, external",
    ],
    [
      { limits: { call_timeout_ms: "30s" } },
      "limits.call_timeout_ms",
      "must be a number, not text",
    ],
    [{ limits: { memory_mb: -1 } }, "limits.memory_mb", "must be at least 8"],
    [{ env: ["A=1"] }, "env", "must be an object, not a list"],
    [{ instances: 0 }, "instances", "must be at least 1"],
  ])("%j", (extra, field, message) => {
    expect(deploy(extra)).toMatchObject({ [field]: message });
  });

  test("and with what the catalogue says of the field", () => {
    expect(deploy({ restart: "always" }).hint).toContain("always (permanent)");
  });
});

test("text stands for the object of which it says everything, and for nothing else", () => {
  const input = {
    secrets: ["key", { name: "other" }],
    capabilities: ["net:api.example.com"],
    strategy: "blue-green",
    restart: "permanent",
  };
  expect(longForm("Update", input)).toEqual({
    secrets: [{ name: "key" }, { name: "other" }],
    capabilities: [{ resources: ["net:api.example.com"] }],
    strategy: { type: "blue_green" },
    restart: "permanent",
  });
  expect(longForm("GrantCapability", input)).toBe(input);
  const steps = { type: "canary", steps: [10, { percent: 50 }] };
  expect(longForm("Update", { strategy: steps })).toEqual({
    strategy: { type: "canary", steps: [{ percent: 10 }, { percent: 50 }] },
  });
  for (const odd of [null, 7, [], { secrets: 7 }]) expect(longForm("Deploy", odd)).toBe(odd);
});
