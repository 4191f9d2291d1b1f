/** What the audit trail hears of checks, whatever their number. */
import { describe, expect, test } from "vitest";
import { silentLogger } from "#base/log.ts";
import { tenantId } from "#base/ids.ts";
import { type Ask } from "#capability/check.ts";
import { strangerDenial } from "#capability/denial.ts";
import type { NewEvent } from "#events/event.ts";
import { CapabilityAudit } from "#kernel/capability-audit.ts";
import { alice, handClock, openCapabilities, openStore } from "../capability/support.ts";

const ask: Ask = {
  permission: "invoke",
  resource: "service:a",
  tenant: alice,
  presenter: {},
};

function listen(verifiedEvery: number) {
  const recorded: NewEvent[] = [];
  const clock = handClock();
  const events = { emit: (event: NewEvent) => recorded.push(event) };
  const audit = new CapabilityAudit({ events, clock, log: silentLogger, verifiedEvery });
  const types = (type: string) => recorded.filter((each) => each.type === type);
  return { audit, clock, types };
}

describe("the audit trail", () => {
  test.each([
    [0, 0],
    [1, 100],
    [7, 14],
    [1_000, 0],
  ])("records one of %i checks that passed: %i of a hundred", async (every, expected) => {
    await using store = await openStore();
    const { owner } = await openCapabilities(store.kv, handClock());
    const { audit, types } = listen(every);
    for (let i = 0; i < 100; i++) audit.verified(owner, ask);
    expect(types("capability_verified").length).toBe(expected);
  });

  test("records each denial, and of a flood how many there were more, for each tenant apart", () => {
    const { audit, clock, types } = listen(0);
    for (let i = 0; i < 250; i++) audit.denied(strangerDenial(ask), ask);
    audit.denied(strangerDenial(ask), { ...ask, tenant: tenantId("other") });
    expect(types("capability_denied").length).toBe(101);
    clock.forward(1_000);
    audit.denied(strangerDenial(ask), ask);
    const [last] = types("capability_denied").slice(-1);
    expect(last).toMatchObject({ tenantId: alice, payload: { more: 150, why: "unknown" } });
    const counted = types("capability_denied").filter((each) => each.tenantId === alice);
    const more = counted.map(({ payload }) => Number((payload as { more?: number }).more ?? 0));
    expect(counted.length + more.reduce((sum, each) => sum + each, 0)).toBe(251);
  });

  test("holds nothing of a denial back that is about a secret", () => {
    const { audit, types } = listen(0);
    const secret: Ask = { ...ask, permission: "read", resource: "secret:key" };
    audit.denied(strangerDenial(secret), secret);
    expect(types("secret_access_denied")).toMatchObject([{ subject: "key", tenantId: alice }]);
  });

  test("changes nothing of what is decided when it cannot be written", () => {
    const events = {
      emit: (): number => {
        throw new Error("The log is gone.");
      },
    };
    const clock = handClock();
    const audit = new CapabilityAudit({ events, clock, log: silentLogger, verifiedEvery: 1 });
    expect(() => audit.denied(strangerDenial(ask), ask)).not.toThrow();
  });
});
