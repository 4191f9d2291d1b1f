/** Who may, and is the input right (src/kernel/authority.ts, port.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { catalogue, type OperationName } from "#api/catalogue.ts";
import { systemClock } from "#base/clock.ts";
import type { SoloError, FieldError } from "#base/errors.ts";
import { silentLogger, type Logger } from "#base/log.ts";
import { newToken } from "#kernel/authority.ts";
import { Metrics } from "#kernel/metrics.ts";
import { Port, type PortOptions } from "#kernel/port.ts";
import { Tenants } from "#kernel/tenants.ts";
import { openAuthority } from "../support/authority.ts";

const operationNames = Object.keys(catalogue) as OperationName[];
const TOKEN = newToken();
const WANTED = { permission: "read", resource: "kernel" } as const;
const { authority, recorded } = await openAuthority(TOKEN);
const owner = { credentials: { token: TOKEN }, signal: new AbortController().signal };
const stranger = { credentials: {}, signal: new AbortController().signal };

/** A port whose every handler answers with the input that it was given. */
function port(options: Partial<PortOptions> = {}): Port {
  const handlers = Object.fromEntries(
    operationNames.map((name) => [name, (input: unknown) => input]),
  );
  return new Port({
    handlers: handlers as unknown as PortOptions["handlers"],
    authority,
    tenants: new Tenants({ clock: systemClock, log: silentLogger }),
    metrics: new Metrics(),
    clock: systemClock,
    log: silentLogger,
    opened: Promise.resolve(),
    isOpen: () => true,
    ...options,
  });
}

const refused = (act: () => unknown): SoloError => {
  try {
    act();
  } catch (error) {
    return error as SoloError;
  }
  throw new Error("It was expected to be refused.");
};

async function badFields(input: unknown): Promise<readonly FieldError[]> {
  const error = (await port()
    .call("Deploy", input, owner)
    .catch((thrown: unknown) => thrown)) as SoloError;
  expect(error.code).toBe("invalid_argument");
  return error.options.fields!;
}

describe("tokens", () => {
  test("only the owner's is the owner's, again and again", () => {
    expect(authority.identify({}, WANTED)).toBeUndefined();
    for (let n = 0; n < 2; n += 1) {
      expect(authority.identify({ token: TOKEN }, WANTED)).toBe(authority.capabilities.owner);
      fc.assert(
        fc.property(
          fc.oneof(
            fc.string(),
            fc.nat(TOKEN.length).map((at) => TOKEN.slice(0, at)),
            fc.constant(`${TOKEN} `),
          ),
          (token) => {
            fc.pre(token !== TOKEN);
            expect(refused(() => authority.identify({ token }, WANTED)).code).toBe(
              "unauthenticated",
            );
          },
        ),
      );
    }
    const long = { token: "x".repeat(10_000_000) };
    expect(refused(() => authority.identify(long, WANTED)).code).toBe("unauthenticated");
  });

  test("are of 32 random bytes, never the same, and not in what a refusal says", () => {
    const tokens = new Set(Array.from({ length: 1000 }, newToken));
    expect(tokens.size).toBe(1000);
    for (const token of tokens) expect(token).toMatch(/^solo_[\w-]{49}$/);
    const wrong = newToken();
    const refusal = refused(() => authority.identify({ token: wrong }, WANTED));
    expect(JSON.stringify([refusal.toBody(), recorded])).not.toContain(wrong);
  });

  test("a stranger may do nothing with anything", () => {
    for (const resource of ["kernel", "metrics", "service:a", ""]) {
      const act = () =>
        authority.authorize(undefined, { permission: "read", resource, tenant: null });
      expect(refused(act).code).toBe("unauthenticated");
    }
  });
});

test("the tenant is named in the request or its header, and not differently in both", () => {
  expect(authority.tenantOf({}, undefined, undefined)).toBe("default");
  expect(authority.tenantOf({ tenant: "a" }, undefined, undefined)).toBe("a");
  expect(authority.tenantOf({}, "b", undefined)).toBe("b");
  expect(authority.tenantOf({ tenant: "a" }, "a", undefined)).toBe("a");
  const twice = refused(() => authority.tenantOf({ tenant: "a" }, "b", undefined));
  expect(twice.options.fields).toMatchObject([{ field: "tenant_id" }]);
  for (const bad of ["", "../x", "__proto__", "a".repeat(65), "a\0"]) {
    expect(refused(() => authority.tenantOf({ tenant: bad }, undefined, undefined)).code).toBe(
      "invalid_argument",
    );
  }
});

describe("the door", () => {
  test("keeps what comes while the kernel starts until it is open", async () => {
    const opened = Promise.withResolvers<void>();
    const state = { open: false };
    const early = port({ opened: opened.promise, isOpen: () => state.open });
    let answered = false;
    const answer = early.call("List", {}, owner).finally(() => (answered = true));
    expect(await early.call("Health", {}, owner)).toEqual({});
    expect(answered).toBe(false);
    state.open = true;
    opened.resolve();
    await answer;
  });

  test("turns a stranger away before anything of the request is looked at (invariant 1)", async () => {
    for (const name of operationNames) {
      if (name === "Health") continue;
      const answer = port().call(name, { utterly: "wrong" }, stranger);
      await expect(answer, name).rejects.toMatchObject({ code: "unauthenticated" });
    }
    expect(await port().call("Health", {}, stranger)).toEqual({});
  });

  test("is closed while the kernel stops, for all but health", async () => {
    const closed = port({ isOpen: () => false });
    await expect(closed.call("List", {}, owner)).rejects.toMatchObject({ code: "shutting_down" });
    expect(await closed.call("Health", {}, stranger)).toEqual({});
  });

  test("shows nothing of what was not foreseen, and logs it (invariant 2)", async () => {
    const logged: string[] = [];
    const log: Logger = {
      ...silentLogger,
      error: (_, fields) => void logged.push(JSON.stringify(fields)),
    };
    const handlers = {
      List: () => {
        throw new TypeError("secret /etc/path");
      },
    } as unknown as PortOptions["handlers"];
    const error = await port({ handlers, log })
      .call("List", {}, owner)
      .catch((thrown: unknown) => thrown);
    expect(JSON.stringify((error as SoloError).toBody())).not.toContain("secret");
    expect(error).toMatchObject({ code: "internal" });
    expect(logged.join()).toContain("secret /etc/path");
  });

  test("tells a stranger the same of a service that exists and of one that does not", async () => {
    const request = {
      tenant: "t",
      service: "s",
      method: "GET",
      url: "http://h/",
      headers: [],
      body: undefined,
    };
    for (const tenant of ["t", "../x"]) {
      await expect(port().ingress({ ...request, tenant }, stranger)).rejects.toMatchObject({
        code: "unauthenticated",
      });
    }
    await expect(port().ingress(request, owner)).rejects.toMatchObject({
      code: "service_not_found",
    });
  });
});

describe("wrong input", () => {
  test("has every bad field named at once, each with its path", async () => {
    const input = {
      code: 7,
      limits: { memory_mb: "much", colour: 1 },
      restart: "sometimes",
      bogus: 1,
      "restart-limits": {},
    };
    const fields = await badFields(input);
    const named = Object.fromEntries(fields.map(({ field, message }) => [field, message]));
    expect(Object.keys(named).toSorted()).toEqual(
      [
        "bogus",
        "code",
        "limits.colour",
        "limits.memory_mb",
        "restart",
        "restart-limits",
        "service_id",
      ].toSorted(),
    );
    expect(named["service_id"]).toBe("is missing");
    expect(named["code"]).toBe("must be text, not a number");
    expect(named["bogus"]).toBe("is not a field of this request");
  });

  test("that is no object at all is refused as a whole", async () => {
    for (const input of [[], "text", 7, true]) {
      expect((await badFields(input)).map(({ field }) => field)).toEqual(["body"]);
    }
  });

  test("says that a number must be whole", async () => {
    const fields = await badFields({ service_id: "a", code: "x", limits: { mailbox: 1.5 } });
    expect(fields).toEqual([
      { field: "limits.mailbox", message: expect.stringMatching(/whole|int/) as string },
    ]);
  });

  test("of any kind is refused in few words and never breaks the door", async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), async (input) => {
        const error = await port()
          .call("Deploy", input, owner)
          .catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "invalid_argument" });
        expect((error as SoloError).message.length).toBeLessThan(4000);
      }),
      { numRuns: 200 },
    );
  });
});
