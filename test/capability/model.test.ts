/** Capabilities against a model that is too simple to be wrong, over random histories. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Capabilities } from "#capability/capabilities.ts";
import type { Permission } from "#capability/permission.ts";
import { isToken } from "#capability/token.ts";
import {
  alice,
  bearer,
  bob,
  handClock,
  openCapabilities,
  openStore,
  type OpenStore,
  scoped,
} from "./support.ts";

let store: OpenStore;
let run = 0;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const PERMISSIONS = ["read", "invoke", "deploy"] as const;
const RESOURCES = ["service:a", "service:ab", "service:b", "net:a.x", "net:b.a.x", "kv"];
const PATTERNS: Readonly<Record<string, readonly string[]>> = {
  "*": RESOURCES,
  "service:*": ["service:a", "service:ab", "service:b"],
  "service:a*": ["service:a", "service:ab"],
  "service:b": ["service:b"],
  "net:*": ["net:a.x", "net:b.a.x"],
  "net:*.a.x": ["net:b.a.x"],
  "net:a.x": ["net:a.x"],
  kv: ["kv"],
};

const HANDLERS = ["calls.a", "calls.b", "casts.a"];
const RULES: Readonly<Record<string, readonly string[]>> = {
  "calls.*": ["calls.a", "calls.b"],
  "calls.a": ["calls.a"],
  "casts.a": ["casts.a"],
};

interface Model {
  readonly id: string;
  readonly token: string;
  readonly parent: Model | undefined;
  readonly tenant: TenantId | null;
  readonly permissions: readonly Permission[];
  readonly resources: ReadonlySet<string>;
  /** Undefined: all. */
  readonly handlers: ReadonlySet<string> | undefined;
  readonly expiresAt: number;
  readonly maxUses: number;
  readonly rate: number;
  revoked: boolean;
  uses: number;
  usedAt: number[];
}

const chainOf = (model: Model): Model[] => [model, ...(model.parent ? chainOf(model.parent) : [])];

const request = fc.record(
  {
    permissions: fc.subarray([...PERMISSIONS], { minLength: 1 }),
    resources: fc.subarray(Object.keys(PATTERNS), { minLength: 1, maxLength: 3 }),
    tenant: fc.constantFrom<TenantId | null>(alice, bob),
    calls: fc
      .subarray(Object.keys(RULES), { minLength: 1 })
      .map((handlers) => handlers.map((handler) => ({ handler }))),
    ttlMs: fc.integer({ min: 1_000, max: 200_000 }),
    maxUses: fc.integer({ min: 1, max: 6 }),
    ratePerMinute: fc.integer({ min: 1, max: 6 }),
  },
  { requiredKeys: [] },
);

const pick = fc.nat(1_000);
const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("derive" as const), at: pick, request }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("use" as const),
      at: pick,
      permission: fc.constantFrom(...PERMISSIONS),
      resource: fc.constantFrom(...RESOURCES),
      tenant: fc.constantFrom<TenantId | null>(alice, alice, bob, null),
      handler: fc.constantFrom(...HANDLERS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("revoke" as const), at: pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(80_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sweep" as const) }) },
);

test("for any history a use passes exactly when every link of its chain allows it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 80 }), async (commands) => {
      const kv = scoped(store.kv, `run${run++}`);
      const clock = handClock();
      let capabilities = await openCapabilities(kv, clock);
      const models: Model[] = [];
      const make = async (
        parent: Model | undefined,
        asked: Parameters<Capabilities["attenuate"]>[1],
      ) => {
        const from = parent ? capabilities.get(parent.id) : capabilities.owner;
        if (from === undefined) return;
        const made = await capabilities
          .delegate(from, { ...asked, to: bearer })
          .catch((error: unknown) => error);
        if (made instanceof Error) return expect(made).toBeInstanceOf(SoloError);
        const { capability, token } = made as Awaited<ReturnType<Capabilities["attenuate"]>>;
        const { record } = capability;
        const model: Model = {
          id: capability.id,
          token: token!,
          parent,
          tenant: record.tenant,
          permissions: record.permissions,
          resources: new Set(record.resources.flatMap((text) => PATTERNS[text] ?? [])),
          handlers:
            record.calls === null
              ? undefined
              : new Set(record.calls.flatMap(({ handler }) => RULES[handler] ?? [])),
          expiresAt: record.expiresAtMs ?? Infinity,
          maxUses: record.maxUses ?? Infinity,
          rate: record.ratePerMinute ?? Infinity,
          revoked: false,
          uses: 0,
          usedAt: [],
        };
        mustNotExceed(model, parent);
        models.push(model);
      };
      await make(undefined, {
        tenant: null,
        permissions: ["read", "invoke", "deploy"],
        resources: ["*"],
      });
      await make(undefined, {
        tenant: alice,
        resources: ["service:*", "net:*"],
        maxUses: 8,
        ratePerMinute: 6,
      });

      for (const each of commands) {
        const model = "at" in each ? models[each.at % models.length] : undefined;
        if (each.kind === "derive") await make(model, each.request);
        else if (each.kind === "wait") clock.forward(each.ms);
        else if (each.kind === "sweep") await capabilities.sweep();
        else if (each.kind === "revoke" && model) {
          model.revoked = true;
          await capabilities
            .revoke(model.id)
            .catch((error: SoloError) => expect(error.code).toBe("not_found"));
        } else if (each.kind === "restart") {
          capabilities = await openCapabilities(kv, clock);
          for (const all of models) all.usedAt = [];
        } else if (each.kind === "use" && model) {
          const { permission, resource, tenant, handler } = each;
          const verdict = capabilities.verify(model.token, {
            permission,
            resource,
            tenant,
            presenter: {},
            call: { handler, args: [] },
          });
          const chain = chainOf(model);
          expect(verdict.allowed).toBe(chain.every((link) => allows(link, each, clock)));
          if (!verdict.allowed) continue;
          await verdict.recorded;
          for (const link of chain) {
            link.uses += 1;
            link.usedAt.push(clock.now());
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

function allows(
  link: Model,
  asked: { permission: Permission; resource: string; tenant: TenantId | null; handler: string },
  clock: { now(): number; wallMs(): number },
): boolean {
  const second = (ms: number) => Math.floor(ms / 1_000);
  const recent = link.usedAt.filter((at) => second(at) > second(clock.now()) - 61).length;
  return (
    !link.revoked &&
    clock.wallMs() < link.expiresAt &&
    (link.tenant === null || link.tenant === asked.tenant) &&
    link.permissions.includes(asked.permission) &&
    link.resources.has(asked.resource) &&
    (asked.permission !== "invoke" || (link.handlers?.has(asked.handler) ?? true)) &&
    link.uses < link.maxUses &&
    recent < link.rate
  );
}

function mustNotExceed(child: Model, parent: Model | undefined): void {
  if (parent === undefined) return;
  expect(parent.permissions).toEqual(expect.arrayContaining([...child.permissions]));
  expect([...child.resources].every((each) => parent.resources.has(each))).toBe(true);
  const all = new Set(HANDLERS);
  expect((child.handlers ?? all).isSubsetOf(parent.handlers ?? all)).toBe(true);
  if (parent.tenant !== null) expect(child.tenant).toBe(parent.tenant);
  expect(child.expiresAt).toBeLessThanOrEqual(parent.expiresAt);
  expect(child.maxUses).toBeLessThanOrEqual(parent.maxUses);
  expect(child.rate).toBeLessThanOrEqual(parent.rate);
}

test("no text passes for a token, however close to one it is", async () => {
  const kv = scoped(store.kv, "forgery");
  const capabilities = await openCapabilities(kv, handClock());
  const made = await capabilities.grant({
    tenant: alice,
    holder: bearer,
    permissions: ["read"],
    resources: ["*"],
  });
  const token = made.token!;
  const use = (text: string) =>
    capabilities.verify(text, { permission: "read", resource: "kv", tenant: alice, presenter: {} });
  expect(use(token).allowed).toBe(true);
  const near = fc
    .tuple(
      fc.nat(token.length - 1),
      fc.constantFrom("a", "b", "Y", "Z", "0", "9", "-", "_", " ", "\0"),
    )
    .map(([at, char]) => token.slice(0, at) + char + token.slice(at + 1));
  const any = fc.oneof(
    near,
    fc.string({ maxLength: 300 }),
    fc.base64String().map((text) => `solo_${text}`),
    fc.constantFrom(
      "",
      token.slice(0, -1),
      `${token}=`,
      ` ${token}`,
      token.toUpperCase(),
      made.capability.record.tokenHash!,
    ),
  );
  fc.assert(
    fc.property(any, (text) => {
      const verdict = use(text);
      expect(verdict.allowed).toBe(text === token);
      if (text !== token) expect(isToken(text)).toBe(false);
      if (!verdict.allowed)
        expect(verdict.denial).toMatchObject({ why: "unknown", link: null, nearest: null });
    }),
    { numRuns: 2_000 },
  );
});
