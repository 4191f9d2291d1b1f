/** Whoever shows a tenant's certificate, with whatever token (src/kernel/operations/capabilities.ts,
 *  invariant 3). */
import { afterAll, expect, test } from "vitest";
import type { OperationName, OutputOf } from "#api/catalogue.ts";
import { startInProcess } from "../support/kernel-in-process.ts";
import { until } from "../support/until.ts";

const solo = await startInProcess();
afterAll(() => solo[Symbol.asyncDispose]());

const READER = { permissions: ["read"], resources: ["kernel", "capabilities"] };
const owner = solo.token;
/** As acme's certificate shows it, with that token. */
const held = <N extends OperationName>(name: N, input: object, token = owner) =>
  solo.kernel.port.call(name, input, {
    credentials: { token, certificateTenant: "acme" },
    signal: new AbortController().signal,
  });
const refused = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    ({ code }: { code: string }) => code,
  );

test("reaches no other tenant's capabilities by their ids, and none that is for every tenant", async () => {
  const grant = (input: object): Promise<OutputOf<"GrantCapability">> =>
    solo.ask("GrantCapability", { ...READER, ...input });
  const [ours, theirs, wide] = [
    await grant({ tenant_id: "acme" }),
    await grant({ tenant_id: "other" }),
    await grant({ every_tenant: true }),
  ];
  const ids = [ours, theirs, wide].map(({ capability }) => capability.id);
  for (const name of ["InspectCapability", "AttenuateCapability", "RevokeCapability"] as const) {
    const outcomes = ids.map((id) => refused(held(name, { id })));
    expect(await Promise.all(outcomes), name).toEqual(["done", "not_found", "not_found"]);
  }
  for (const { capability } of [theirs, wide])
    expect(await solo.ask("InspectCapability", { id: capability.id })).toMatchObject({
      state: "active",
    });
});

test("makes nothing that is for every tenant, nor ends what is", async () => {
  expect(await held("InspectCapability", { id: "self" })).toMatchObject({ id: "c_owner" });
  const wide = await solo.ask("GrantCapability", {
    permissions: ["admin", "read"],
    resources: ["capabilities", "kernel"],
    every_tenant: true,
  });
  const outcomes = [
    held("GrantCapability", { ...READER, every_tenant: true }),
    held("AttenuateCapability", { id: "self" }),
    held("DelegateCapability", { id: "self", holder: {} }),
    held("RevokeCapability", { id: "self" }, wide.token),
  ].map(refused);
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["permission_denied"]));
  const made = await held("GrantCapability", READER);
  expect(made.capability.tenant_id).toBe("acme");
});

test("is on record when it asks for what is another's", async () => {
  const since = solo.kernel.events.head();
  expect(await refused(held("List", { tenant_id: "other" }))).toBe("permission_denied");
  expect(await refused(held("Tree", {}))).toBe("permission_denied");
  const events = await until(async () => {
    const found = await solo.kernel.events.read({
      eventTypes: ["capability_denied"],
      sinceId: since,
    });
    return found.length === 2 && found;
  }, "both refusals to be on record");
  expect(events.map(({ payload }) => payload["why"])).toEqual(["holder", "holder"]);
});
