/** A certificate restricts, a token grants (src/kernel/certificate-tenant.ts). */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SoloError } from "#base/errors.ts";
import { held } from "#kernel/certificate-tenant.ts";

const { signal } = new AbortController();
const tenants = fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined });

test("whoever shows a tenant's certificate acts for that tenant or not at all", () => {
  fc.assert(
    fc.property(tenants, tenants, tenants, fc.boolean(), (proved, header, named, wholeKernel) => {
      const credentials = {
        ...(header !== undefined && { tenant: header }),
        ...(proved !== undefined && { certificateTenant: proved }),
      };
      const context = { credentials, signal };
      const others = [header, named].some((each) => each !== undefined && each !== proved);
      let result: ReturnType<typeof held>;
      try {
        result = held(context, { tenant: named, wholeKernel });
      } catch (error) {
        expect((error as SoloError).code).toBe("permission_denied");
        expect(proved !== undefined && (others || wholeKernel)).toBe(true);
        return;
      }
      if (proved === undefined) expect(result).toBe(context);
      else expect([result.credentials.tenant, others, wholeKernel]).toEqual([proved, false, false]);
    }),
  );
});
