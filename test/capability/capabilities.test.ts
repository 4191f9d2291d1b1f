import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TenantId } from "#base/ids.ts";
import { denialError } from "#capability/denial.ts";
import { deniedEvent } from "#capability/events.ts";
import type { Verdict } from "#capability/capabilities.ts";
import { memoryKv } from "../deploy/support.ts";
import {
  alice,
  ask,
  bearer,
  bob,
  handClock,
  openCapabilities,
  openStore,
  type OpenStore,
  rejection,
  scoped,
  worker,
} from "./support.ts";

let store: OpenStore;
let scopes = 0;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const HOUR_MS = 3_600_000;
const service = { kind: "service", tenant: alice, service: worker } as const;

async function setUp() {
  const kv = scoped(store.kv, `test${scopes++}`);
  const clock = handClock();
  const capabilities = await openCapabilities(kv, clock, { ownerToken: "the owner's" });
  const root = await capabilities.grant({
    tenant: alice,
    holder: { kind: "tenant", tenant: alice },
    permissions: ["read", "invoke", "deploy"],
    resources: ["service:*", "kv", "net:*.example.com"],
    ttlMs: HOUR_MS,
  });
  return { kv, clock, capabilities, root };
}

const denial = (verdict: Verdict) => {
  if (verdict.allowed) throw new Error("It was expected to be refused.");
  return verdict.denial;
};

describe("a handle of a service", () => {
  const use = ask("invoke", "service:a", { presenter: { tenant: alice, service: worker } });
  const hand = async () => {
    const { capabilities, root, ...rest } = await setUp();
    const handle = capabilities.hand(root.capability, { to: service });
    return { ...rest, capabilities, root, handle };
  };
  const after = async ({ kv, clock }: Pick<Awaited<ReturnType<typeof setUp>>, "kv" | "clock">) =>
    await openCapabilities(kv, clock);

  test("works at once, and after a restart when its row was written", async () => {
    const { capabilities, handle, ...disk } = await hand();
    expect(capabilities.check(handle.capability, use).allowed).toBe(true);
    const { id } = handle.capability;
    expect((await after(disk)).get(id)).toBeUndefined();
    await disk.kv.batch(handle.row());
    const again = await after(disk);
    expect(again.check(again.get(id)!, use).allowed).toBe(true);
  });

  test("that was revoked before its row was written stays revoked", async () => {
    const { capabilities, handle, ...disk } = await hand();
    const { id } = handle.capability;
    const revoking = capabilities.revoke(id);
    await disk.kv.batch([...handle.row(), { op: "put", ns: "n", key: "k", value: Buffer.of(1) }]);
    await revoking;
    const again = await after(disk);
    expect(again.check(again.get(id)!, use).allowed).toBe(false);
  });

  test("has no row any more once what it came from is gone, or it was dropped", async () => {
    const { capabilities, root, handle } = await hand();
    const dropped = capabilities.hand(root.capability, { to: service });
    dropped.drop();
    expect(capabilities.get(dropped.capability.id)).toBeUndefined();
    expect(() => dropped.row()).toThrow(/has ended/);
    await capabilities.withdraw(root.capability);
    expect(() => handle.row()).toThrow(/has ended/);
  });
});

describe("what is kept", () => {
  test("a token is on disk only as its SHA-256, and works after a restart", async () => {
    const { kv, clock, capabilities, root } = await setUp();
    expect(root.token).toMatch(/^solo_[\w-]{49}$/);
    const stored = await kv.list("capabilities", { limit: 10 });
    const text = stored.map(({ value }) => Buffer.from(value).toString()).join();
    expect(text).not.toContain(root.token!.slice(5, 25));
    expect(text).not.toContain(Buffer.from(root.token!.slice(5, 48), "base64url").toString("hex"));
    expect(JSON.stringify([root.event, capabilities.list()])).not.toContain(
      root.token!.slice(5, 25),
    );
    const again = await openCapabilities(kv, clock);
    expect(again.verify(root.token!, ask("read", "kv")).allowed).toBe(true);
    expect(again.list()).toEqual(
      capabilities.list().map((each) => ({ ...each, usesInLastMinute: 1 })),
    );
  });

  test("uses that were counted stay counted, also without an orderly end", async () => {
    const { kv, clock, capabilities, root } = await setUp();
    const { token } = await capabilities.attenuate(root.capability, { maxUses: 3 });
    for (let i = 0; i < 2; i++) {
      const verdict = capabilities.verify(token!, ask("read", "kv"));
      if (verdict.allowed) await verdict.recorded;
    }
    const again = await openCapabilities(kv, clock);
    const verdicts = [1, 2].map(() => again.verify(token!, ask("read", "kv")));
    expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, false]);
    expect(denial(verdicts[1]!).why).toBe("uses");
  });

  test("a record that was damaged grants nothing, nor does what came from it; the rest works", async () => {
    const { kv, clock, capabilities, root } = await setUp();
    const child = await capabilities.attenuate(root.capability, {});
    const other = await capabilities.grant({
      tenant: bob,
      holder: bearer,
      permissions: ["read"],
      resources: ["kv"],
    });
    await kv.batch([
      { op: "put", ns: "capabilities", key: root.capability.id, value: Buffer.from("{") },
    ]);
    const again = await openCapabilities(kv, clock);
    expect(again.unreadable.toSorted()).toEqual(
      [root.capability.id, child.capability.id].toSorted(),
    );
    expect(again.verify(child.token!, ask("read", "kv")).allowed).toBe(false);
    expect(again.verify(other.token!, ask("read", "kv", { tenant: bob })).allowed).toBe(true);
  });
});

describe("ends", () => {
  test("revoking one ends all below it at once, with their streams", async () => {
    const { capabilities, root } = await setUp();
    const child = await capabilities.attenuate(root.capability, {});
    const grandchild = await capabilities.delegate(child.capability, { to: bearer });
    const ended: string[] = [];
    capabilities.onEnd(grandchild.capability, () => ended.push("grandchild"));
    const leave = capabilities.onEnd(grandchild.capability, () => ended.push("left"));
    leave();
    const revoking = capabilities.revoke(root.capability.id);
    expect(ended).toEqual(["grandchild"]);
    expect(denial(capabilities.verify(grandchild.token!, ask("read", "kv")))).toMatchObject({
      why: "revoked",
      link: { id: root.capability.id, level: 1 },
    });
    expect(await revoking).toMatchObject({ ended: 3, event: { type: "capability_revoked" } });
    expect(await capabilities.revoke(root.capability.id)).toEqual({ ended: 0, event: undefined });
    capabilities.onEnd(grandchild.capability, () => ended.push("late"));
    expect(ended).toEqual(["grandchild", "late"]);
    expect((await rejection(capabilities.attenuate(child.capability, {}))).code).toBe(
      "permission_denied",
    );
  });

  test("setting the wall clock back lengthens no life", async () => {
    const { clock, capabilities, root } = await setUp();
    expect(capabilities.endsAtMs(root.capability)).toBe(clock.wallMs() + HOUR_MS);
    const started = clock.wallMs();
    clock.forward(HOUR_MS);
    clock.set(started);
    expect(denial(capabilities.verify(root.token!, ask("read", "kv"))).why).toBe("expired");
  });

  test("the sweep ends the streams of what expired, and forgets it a minute later with all below", async () => {
    const { kv, clock, capabilities, root } = await setUp();
    const child = await capabilities.attenuate(root.capability, {});
    let ends = 0;
    capabilities.onEnd(child.capability, () => ends++);
    clock.forward(HOUR_MS);
    expect(await capabilities.sweep()).toEqual([]);
    expect(ends).toBe(1);
    expect(denial(capabilities.verify(child.token!, ask("read", "kv"))).why).toBe("expired");
    clock.forward(60_000);
    expect(await capabilities.sweep()).toEqual([root.capability.id, child.capability.id]);
    expect(denial(capabilities.verify(child.token!, ask("read", "kv"))).why).toBe("unknown");
    expect(await kv.list("capabilities", { limit: 10 })).toEqual([]);
  });

  test("the owner's capability cannot be revoked and is not listed", async () => {
    const { capabilities } = await setUp();
    expect(
      capabilities.verify("the owner's", ask("admin", "kernel", { tenant: null })).allowed,
    ).toBe(true);
    expect((await rejection(capabilities.revoke("c_owner"))).code).toBe("not_found");
    expect(capabilities.list().map(({ id }) => id)).not.toContain("c_owner");
  });
});

describe("holders", () => {
  test("a service holds a handle: there is no token, and nobody else can use it", async () => {
    const { capabilities, root } = await setUp();
    const { token, capability } = await capabilities.delegate(root.capability, {
      to: service,
      resources: ["kv"],
    });
    expect(token).toBeUndefined();
    expect(capabilities.heldBy(service)).toEqual([capability]);
    const as = (presenter: object) =>
      capabilities.check(capability, ask("read", "kv", { presenter })).allowed;
    expect(as({ tenant: alice, service: worker })).toBe(true);
    expect(as({ tenant: alice })).toBe(false);
    expect(as({ tenant: bob, service: worker })).toBe(false);
    expect(as({})).toBe(false);
  });

  test("a token of one tenant, presented by another, tells nothing", async () => {
    const { capabilities, root } = await setUp();
    const verdict = capabilities.verify(
      root.token!,
      ask("read", "kv", { presenter: { tenant: bob } }),
    );
    expect(denial(verdict)).toMatchObject({
      code: "unauthenticated",
      why: "holder",
      link: null,
      nearest: null,
      grantable_by: ["owner"],
    });
    expect(denialError(denial(verdict)).message).toBe("The token is not known here.");
  });

  test("of several capabilities that a service holds the fitting one is used and charged", async () => {
    const { capabilities, root } = await setUp();
    const presenter = { tenant: alice, service: worker };
    const kv = await capabilities.delegate(root.capability, {
      to: service,
      resources: ["kv"],
      ratePerMinute: 1,
    });
    const net = await capabilities.delegate(root.capability, {
      to: service,
      resources: ["net:a.example.com"],
    });
    const held = [net.capability, kv.capability];
    const use = (resource: string) =>
      capabilities.checkAny(held, ask("read", resource, { presenter }));
    expect(use("kv").allowed).toBe(true);
    expect(denial(use("kv"))).toMatchObject({
      why: "rate",
      code: "limit_exceeded",
      retry_after_ms: expect.any(Number),
    });
    expect(use("net:a.example.com:443").allowed).toBe(true);
    expect(capabilities.inspect(net.capability.id).usesInLastMinute).toBe(1);
    expect(denial(capabilities.checkAny([], ask("read", "kv", { presenter })))).toMatchObject({
      code: "permission_denied",
    });
  });
});

describe("denials teach", () => {
  test("which link took the permission away, what is nearest, and who can still give it", async () => {
    const { capabilities, root } = await setUp();
    const narrowed = await capabilities.attenuate(root.capability, {
      permissions: ["read", "invoke"],
      label: "for looking",
    });
    const leaf = await capabilities.attenuate(narrowed.capability, { resources: ["service:a"] });
    const refused = denial(capabilities.verify(leaf.token!, ask("deploy", "service:a")));
    expect(refused).toEqual({
      code: "permission_denied",
      permission: "deploy",
      resource: "service:a",
      why: "narrowed",
      link: { id: narrowed.capability.id, level: 2, label: "for looking" },
      nearest: {
        id: root.capability.id,
        permissions: ["read", "invoke", "deploy"],
        resources: ["service:*", "kv", "net:*.example.com"],
        lacks: "nothing",
      },
      grantable_by: [root.capability.id, "owner"],
    });
    const error = denialError(refused);
    expect(error.message).toContain(
      `deploy on service:a was refused: ${narrowed.capability.id} does not include it`,
    );
    expect(error.options.hint).toContain(root.capability.id);
    expect(deniedEvent(refused, ask("deploy", "service:a"))).toMatchObject({
      type: "capability_denied",
      tenantId: alice,
      payload: { permission: "deploy", resource: "service:a", why: "narrowed" },
    });
  });

  test("a bearer hears nothing of what other bearers hold", async () => {
    const { capabilities } = await setUp();
    const grant = (permissions: string[]) =>
      capabilities.grant({ tenant: alice, holder: bearer, permissions, resources: ["kv"] });
    await grant(["write"]);
    const mine = await grant(["read"]);
    expect(denial(capabilities.verify(mine.token!, ask("write", "kv")))).toMatchObject({
      why: "narrowed",
      nearest: null,
    });
  });

  test("another tenant's resource is refused alike, whether it exists or not", async () => {
    const { capabilities, root } = await setUp();
    const refused = denial(
      capabilities.verify(root.token!, ask("read", "service:x", { tenant: bob })),
    );
    expect(refused).toMatchObject({ why: "tenant", code: "permission_denied", nearest: null });
    expect(
      denial(capabilities.verify(root.token!, ask("read", "service:x", { tenant: null }))).why,
    ).toBe("tenant");
  });

  test("of an attenuated service, which rule refused the call", async () => {
    const { capabilities, root } = await setUp();
    const calls = [{ handler: "calls.add", args: [{ index: 0, max: 10 }] }];
    const { token, capability } = await capabilities.attenuate(root.capability, {
      resources: ["service:a"],
      calls,
    });
    const call = (handler: string, ...args: unknown[]) =>
      capabilities.verify(token!, ask("invoke", "service:a", { call: { handler, args } }));
    expect(call("calls.add", 10).allowed).toBe(true);
    expect(denial(call("calls.add", 11)).call).toMatchObject({
      why: "argument",
      constraint: { index: 0, max: 10 },
    });
    expect(denial(call("calls.reset")).call).toMatchObject({
      why: "handler",
      allowed: ["calls.add"],
    });
    expect(capabilities.verify(token!, ask("invoke", "service:a")).allowed).toBe(false);
    const wider = capabilities.attenuate(capability, { calls: [{ handler: "calls.*" }] });
    expect((await rejection(wider)).options.fields?.map(({ field }) => field)).toEqual(["calls"]);
  });
});

describe("bounds", () => {
  test("what is asked beyond the parent is refused by field", async () => {
    const { capabilities, root } = await setUp();
    const fields = async (request: Parameters<typeof capabilities.attenuate>[1]) =>
      (await rejection(capabilities.attenuate(root.capability, request))).options.fields?.map(
        ({ field }) => field,
      );
    expect(await fields({ permissions: ["admin"] })).toEqual(["permissions"]);
    expect(await fields({ permissions: ["raed"] })).toEqual(["permissions"]);
    expect(await fields({ permissions: [] })).toEqual(["permissions"]);
    expect(await fields({ resources: ["kv", "*"] })).toEqual(["resources.1"]);
    expect(await fields({ resources: ["nonsense"] })).toEqual(["resources.0"]);
    expect(await fields({ tenant: bob })).toEqual(["tenant_id"]);
    expect(await fields({ tenant: null })).toEqual(["tenant_id"]);
    expect(await fields({ ttlMs: HOUR_MS + 1 })).toEqual(["ttl_ms"]);
    expect(await fields({ ratePerMinute: null })).toEqual(["rate_per_minute"]);
    expect(await fields({ ratePerMinute: 1_001 })).toEqual(["rate_per_minute"]);
    expect(await fields({ maxDepth: 8 })).toEqual(["max_depth"]);
    expect(await fields({ label: "a\nb" })).toEqual(["label"]);
  });

  test("depth and fan-out have their caps, also for derivations under way at the same time", async () => {
    const { capabilities, root } = await setUp();
    const flat = await capabilities.attenuate(root.capability, { maxDepth: 1, maxChildren: 2 });
    const tries = await Promise.allSettled(
      [1, 2, 3].map(() => capabilities.attenuate(flat.capability, {})),
    );
    expect(tries.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    const leaf = [...flat.capability.children][0]!;
    expect((await rejection(capabilities.attenuate(leaf, {}))).options.fields?.[0]?.field).toBe(
      "parent",
    );
  });

  test("a tenant that derives without end keeps no other from its capabilities", async () => {
    const capabilities = await openCapabilities(memoryKv(), handClock());
    const terms = { permissions: ["read"], resources: ["kv"], maxChildren: 10_000 };
    const grant = (tenant: TenantId) => capabilities.grant({ ...terms, tenant, holder: bearer });
    for (let half = 0; half < 2; half += 1) {
      const { capability } = await grant(alice);
      const work = Array.from({ length: 9_999 }, () => capabilities.attenuate(capability, {}));
      await Promise.all(work);
    }
    expect(await rejection(grant(alice))).toMatchObject({ code: "limit_exceeded" });
    expect((await grant(bob)).capability.record.tenant).toBe(bob);
    await capabilities.withdraw([...capabilities.owner.children][0]!);
    await grant(alice);
  });

  test("uses are charged to every ancestor: children share what their parent has left", async () => {
    const { kv, clock, capabilities, root } = await setUp();
    const parent = await capabilities.attenuate(root.capability, { maxUses: 3 });
    const [a, b] = await Promise.all(
      [1, 2].map(() => capabilities.attenuate(parent.capability, {})),
    );
    const use = (token: string) => capabilities.verify(token, ask("read", "kv"));
    const verdicts = [a, b, a, b].map((each) => use(each!.token!));
    expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, true, false]);
    expect(denial(verdicts[3]!)).toMatchObject({ why: "uses", link: { id: parent.capability.id } });
    for (const verdict of verdicts) if (verdict.allowed) await verdict.recorded;
    const again = await openCapabilities(kv, clock);
    expect(again.verify(b!.token!, ask("read", "kv")).allowed).toBe(false);
  });

  test("a rate is charged to every ancestor: children share their parent's minute", async () => {
    const { clock, capabilities, root } = await setUp();
    const parent = await capabilities.attenuate(root.capability, { ratePerMinute: 4 });
    const [a, b] = await Promise.all(
      [1, 2].map(() => capabilities.attenuate(parent.capability, {})),
    );
    const use = (token: string) => capabilities.verify(token, ask("read", "kv"));
    expect([a, b, a, b].map((each) => use(each!.token!).allowed)).toEqual([true, true, true, true]);
    const refused = denial(use(a!.token!));
    expect(refused).toMatchObject({ why: "rate", link: { id: parent.capability.id } });
    clock.forward(refused.retry_after_ms!);
    expect(use(b!.token!).allowed).toBe(true);
  });
});
