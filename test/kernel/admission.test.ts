import fc from "fast-check";
import { expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { tenantId } from "#base/ids.ts";
import { admissionRefusal } from "#kernel/deploys/admission.ts";

const tenant = tenantId("acme");

test("one more service is refused exactly when one of both limits is reached", () => {
  const count = fc.nat({ max: 20 });
  fc.assert(
    fc.property(count, count, count, count, (total, own, maxTotal, maxOwn) => {
      const refusal = admissionRefusal(
        { tenant, total, own },
        { refusal: () => undefined, maxTotal: () => maxTotal, maxPerTenant: () => maxOwn },
      );
      expect(refusal?.code).toBe(total >= maxTotal || own >= maxOwn ? "limit_exceeded" : undefined);
      const setting = total >= maxTotal ? "limits.max_total" : "limits.max_per_tenant";
      if (refusal !== undefined) expect(refusal.message).toContain(setting);
    }),
  );
});

test("what the kernel refuses at the moment comes before the limits", () => {
  const busy = new SoloError("unavailable", "Not now.");
  const limits = { refusal: () => busy, maxTotal: () => 0, maxPerTenant: () => 0 };
  expect(admissionRefusal({ tenant, total: 5, own: 5 }, limits)).toBe(busy);
});
