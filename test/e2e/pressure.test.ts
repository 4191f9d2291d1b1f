/** A kernel under pressure says so, refuses what is new, and goes on with what runs (K4). */
import { afterAll, expect, test } from "vitest";
import { startKernel, until } from "../support/kernel.ts";

const kernel = await startKernel({ config: "[limits]\npressure_instances = 1" });
afterAll(() => kernel[Symbol.asyncDispose]());

test("new deploys are shed until the pressure has passed", async () => {
  const tenant = kernel.tenant("press");
  const code = "export default { calls: { ok: () => 1 } };";
  await tenant.deploy({ service_id: "a", code });
  await tenant.deploy({ service_id: "b", code });
  const event = await until(
    async () => (await kernel.events({ event_type: "runtime_pressure_high" })).at(-1),
    "the pressure to be noticed",
  );
  expect(event["payload"]).toEqual({ what: "instances", value: 2, threshold: 1 });

  const refused = await tenant.request("POST", "/services", { service_id: "c", code });
  expect(refused.status).toBe(503);
  expect(refused.body).toMatchObject({
    code: "overloaded",
    detail: expect.stringContaining("instances"),
  });
  expect((await tenant.request("GET", "/health")).body).toMatchObject({ pressure: ["instances"] });
  expect(await tenant.call("a", "ok")).toBe(1);

  await Promise.all(["a", "b"].map((service) => tenant.kill(service)));
  await until(
    async () =>
      (await tenant.request("POST", "/services", { service_id: "c", code })).status === 201,
    "deploys to be taken again",
  );
});
