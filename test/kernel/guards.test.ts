/** Nothing is unguarded: the catalogue's operations at the door, and what services may ask. */
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import { systemClock } from "#base/clock.ts";
import type { ErrorBody } from "#base/errors.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { silentLogger } from "#base/log.ts";
import { newToken } from "#kernel/authority.ts";
import { Metrics } from "#kernel/metrics.ts";
import { Port, type PortOptions } from "#kernel/port.ts";
import { Answers } from "#kernel/services/host/answers.ts";
import { HostApi, type HostApiOptions, type HostRequest } from "#kernel/services/host/host-api.ts";
import { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import { Tenants } from "#kernel/tenants.ts";
import { openAuthority } from "../support/authority.ts";

const OWNER = newToken();
const { authority, audit, recorded } = await openAuthority(OWNER);
const { capabilities } = authority;
const tenant = tenantId("default");
const operations = Object.entries<Operation>(catalogue) as [OperationName, Operation][];
const guarded = operations.filter(([, { scope }]) => scope !== "anyone");

/** The least that a schema takes. */
function sample(schema: z.core.$ZodType): unknown {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "object":
      return Object.fromEntries(
        Object.entries(def.shape)
          .filter(([, each]) => (each as z.core.$ZodTypes)._zod.def.type !== "optional")
          .map(([name, each]) => [name, sample(each)]),
      );
    case "array":
      return [sample(def.element)];
    case "string":
      return "a1";
    case "number":
      return 1;
    case "record":
      return {};
    case "enum":
      return Object.values(def.entries)[0];
    default:
      return null;
  }
}

/** A door whose every handler says that it was reached. */
const door = new Port({
  handlers: Object.fromEntries(
    operations.map(([name, { streaming }]) => [
      name,
      streaming
        ? async function* () {
            yield { reached: name };
          }
        : () => ({ reached: name }),
    ]),
  ) as unknown as PortOptions["handlers"],
  authority,
  tenants: new Tenants({ clock: systemClock, log: silentLogger }),
  metrics: new Metrics(),
  clock: systemClock,
  log: silentLogger,
  opened: Promise.resolve(),
  isOpen: () => true,
});

async function reach(name: OperationName, input: unknown, token: string): Promise<unknown> {
  const context = { credentials: { token }, signal: new AbortController().signal };
  if (!catalogue[name].streaming) return door.call(name, input, context);
  for await (const item of door.stream(name, input, context)) return item;
  return undefined;
}

async function tokenFor(permissions: readonly string[], resources: readonly string[]) {
  const { token, capability } = await capabilities.grant({
    tenant,
    holder: { kind: "bearer" },
    permissions,
    resources,
  });
  return { token: token!, capability };
}

describe("every operation", () => {
  test("says whose it is: a tenant's that can be named, the kernel's, or what is presented", () => {
    const open = operations.filter(([, { scope }]) => scope === "anyone").map(([name]) => name);
    expect(open).toEqual(["Health"]);
    for (const [name, { input, scope = "tenant", resource }] of guarded) {
      const isTenants = "tenant_id" in input.shape || resource(sample(input) as never) === "self";
      expect(isTenants || scope === "kernel", `${name} is nobody's`).toBe(true);
    }
  });

  test.each(guarded)(
    "%s is denied to a token that lacks its permission",
    async (name, operation) => {
      const input = operation.input.parse(sample(operation.input));
      const resource = operation.resource(input);
      const { permission } = operation;
      const others = ["read", "write", "invoke", "deploy", "publish"];
      const lacking = await tokenFor(
        others.filter((each) => each !== permission),
        ["*"],
      );
      if (resource === "self") await capabilities.revoke(lacking.capability.id);
      await expect(reach(name, input, lacking.token)).rejects.toMatchObject({
        code: "permission_denied",
        options: { denial: { permission, resource } },
      });
      const last = recorded.findLast(({ type }) => type === "capability_denied");
      expect(last).toMatchObject({ payload: { permission, resource } });
      if (!resource.startsWith("secret:") || permission !== "read") return;
      expect(recorded.at(-1)).toMatchObject({ type: "secret_access_denied", subject: "a1" });
    },
  );

  test.each(guarded)(
    "%s is denied to a token for another resource, and to another tenant's",
    async (name, operation) => {
      const input = operation.input.parse(sample(operation.input));
      const { permission, scope } = operation;
      const resource = operation.resource(input);
      if (resource === "self") return;
      const elsewhere = await tokenFor([permission], ["topic:elsewhere"]);
      const denied = { code: "permission_denied" };
      await expect(reach(name, input, elsewhere.token)).rejects.toMatchObject(denied);
      const { token } = await capabilities.grant({
        tenant: tenantId("other"),
        holder: { kind: "bearer" },
        permissions: [permission],
        resources: ["*"],
      });
      if (scope === "kernel") {
        await expect(reach(name, input, token!)).rejects.toMatchObject(denied);
      } else if ("tenant_id" in operation.input.shape) {
        const named = { ...(input as object), tenant_id: "default" };
        await expect(reach(name, named, token!)).rejects.toMatchObject(denied);
      }
    },
  );

  test.each(guarded)(
    "%s is done for a token with just that permission",
    async (name, operation) => {
      const input = operation.input.parse(sample(operation.input));
      const resource = operation.resource(input);
      const fits = await capabilities.grant({
        tenant: operation.scope === "kernel" ? null : tenant,
        holder: { kind: "bearer" },
        permissions: [operation.permission],
        resources: [resource === "self" ? "topic:any" : resource],
      });
      expect(await reach(name, input, fits.token!)).toEqual({ reached: name });
    },
  );
});

describe("every method that a service may call", () => {
  const key = { tenant, service: serviceId("poor") };
  const services = new ServiceAuthority({
    capabilities: () => capabilities,
    audit,
    clock: systemClock,
  });
  const nothing = new Proxy({}, { get: () => () => expect.unreachable("it was let through") });
  const api = new HostApi({
    find: () => expect.unreachable("it looked for a service before it was allowed to"),
    kv: nothing as HostApiOptions["kv"],
    events: nothing as HostApiOptions["events"],
    outbound: nothing as HostApiOptions["outbound"],
    channels: nothing as HostApiOptions["channels"],
    authority: services,
  });

  /** What reaches beyond the service, with arguments that would be right. */
  const BEYOND: Readonly<Record<string, readonly unknown[]>> = {
    "services.call": ["neighbour", "get", []],
    "services.cast": ["neighbour", "reset", []],
    "services.fetch": ["neighbour", { method: "GET", url: "http://neighbour/", headers: [] }],
    "secrets.get": ["api_key"],
    "topic.publish": ["news", { hello: 1 }],
    "topic.subscribe": ["news"],
    "monitor.start": ["neighbour"],
  };
  /** What reaches its own only: the key is the slot's, never an argument. */
  const OWN = /^(?:kv\.|timer\.|listening\.stop$|events\.emit$)/;
  /** What asks for each host; see test/e2e/network.test.ts. */
  const ASKS = ["fetch"];

  test("is its own, asks by itself, or needs a handle", () => {
    for (const [name, { needs }] of Object.entries(api.methods)) {
      if (needs === "own") expect(name).toMatch(OWN);
      else if (needs === "asks") expect(ASKS).toContain(name);
      else expect(Object.keys(BEYOND), `${name} has no test`).toContain(name);
    }
  });

  test.each(Object.entries(BEYOND))(
    "%s is denied to a service that holds nothing",
    async (method, args) => {
      const answer = Promise.withResolvers<string>();
      const secret = { permission: "read", resource: "secret:api_key" };
      const replica = { key, handles: [], secrets: { needOf: () => secret } };
      const say = (_: number, text: string) => answer.resolve(text);
      const answers = new Answers({ answer: say, body: () => {} });
      const instance = { id: "i", answer: say, answers };
      api.handle({
        replica,
        instance,
        service: { key },
        request: 1,
        method,
        args,
      } as unknown as HostRequest);
      const text = await answer.promise;
      expect(text[0]).toBe("-");
      const body = JSON.parse(text.slice(1)) as ErrorBody;
      expect(body).toMatchObject({ code: "permission_denied", denial: { why: "narrowed" } });
      expect(body.hint).toContain(`Add {"resources":["${body.denial!.resource}"]`);
    },
  );
});

test("no token was recorded in all this", () => {
  expect(recorded.length).toBeGreaterThan(guarded.length);
  expect(JSON.stringify(recorded)).not.toContain("solo_");
});
