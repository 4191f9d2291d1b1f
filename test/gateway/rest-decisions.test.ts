import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import { SoloError } from "#base/errors.ts";
import { answerHead, forwarded } from "#gateway/rest/ingress-headers.ts";
import { ingressTarget } from "#gateway/rest/ingress-target.ts";
import { inputOf } from "#gateway/rest/input.ts";
import { parseJson } from "#gateway/rest/json-body.ts";
import { lost } from "#gateway/rest/lost.ts";
import { chosen, ROUTES, routesOf } from "#gateway/rest/routes.ts";

describe("the routes", () => {
  test("hold every operation once", () => {
    const names = ROUTES.flatMap(({ answer, stream }) =>
      [answer, stream].flatMap((bound) => bound?.name ?? []),
    );
    expect(names).toHaveLength(Object.keys(catalogue).length);
    expect(new Set(names)).toEqual(new Set(Object.keys(catalogue)));
  });

  test("refuse two operations that nothing tells apart", () => {
    const list = catalogue.List as unknown as Operation;
    expect(() => routesOf({ A: list, B: list })).toThrow("both bound to GET /services");
  });

  test("choose the stream only for those who accept it", () => {
    const route = ROUTES.find(({ path }) => path === "/events");
    const nameFor = (accept?: string) => route && chosen(route, accept).name;
    expect(nameFor("text/event-stream")).toBe("Watch");
    expect(nameFor("application/json, text/event-stream; q=0.5")).toBe("Watch");
    expect(nameFor("text/event-stream;q=0")).toBe("ListEvents");
    expect(nameFor("text/event-streams")).toBe("ListEvents");
    expect(nameFor()).toBe("ListEvents");
  });
});

describe("the input", () => {
  const kill = { name: "Kill", operation: catalogue.Kill as unknown as Operation } as const;

  test("is refused by name or passed on, whatever the query says", () => {
    fc.assert(
      fc.property(fc.webQueryParameters(), (query) => {
        try {
          const input = inputOf(kill, {
            params: { service_id: "x" },
            query,
            body: undefined,
            lastEventId: undefined,
          });
          expect(Object.keys(catalogue.Kill.input.shape)).toEqual(
            expect.arrayContaining(Object.keys(input)),
          );
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SoloError);
          expect((thrown as SoloError).options.fields?.length).toBeGreaterThan(0);
        }
      }),
    );
  });

  test("keeps any JSON as it was, except for __proto__ keys", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        try {
          expect(parseJson(Buffer.from(text), 64)).toEqual(JSON.parse(text));
        } catch (thrown) {
          expect((thrown as Error).message).toContain("__proto__");
        }
      }),
    );
  });
});

describe("an ingress path", () => {
  test("splits into prefix and rest without losing anything", () => {
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
    fc.assert(
      fc.property(
        name,
        name,
        fc.webPath(),
        fc.webQueryParameters(),
        (tenant, service, path, query) => {
          const url = `/s/${tenant}/${service}${path}${query === "" ? "" : `?${query}`}`;
          const target = ingressTarget(url);
          expect(target).toMatchObject({ tenant, service });
          expect(target.path.startsWith("/")).toBe(true);
          const expected = path === "" ? url.replace(target.prefix, `${target.prefix}/`) : url;
          expect(target.prefix + target.path).toBe(expected);
        },
      ),
    );
  });
});

describe("ingress headers", () => {
  test("never let a token, a tenant or a hop-by-hop header through, in any case", () => {
    const name = fc.constantFrom(
      "Connection",
      "X-Solo-Token",
      "X-SOLO-TENANT",
      "te",
      "Upgrade",
      "x-a",
      "X-B",
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.constantFrom("x-a", "X-B, close", "v"))), (pairs) => {
        const connection = pairs
          .filter(([n]) => n === "Connection")
          .map(([, v]) => v)
          .join(", ");
        const { headers } = forwarded({
          rawHeaders: pairs.flat(),
          connection: connection === "" ? undefined : connection,
          clientAddress: "127.0.0.1",
          host: "h",
          scheme: "http",
          prefix: "/s/t/x",
          isSoloToken: () => true,
        });
        const named = connection.toLowerCase().split(/,\s*/);
        for (const [given] of headers) {
          expect(["connection", "x-solo-token", "x-solo-tenant", "te", "upgrade"]).not.toContain(
            given,
          );
          expect(named).not.toContain(given);
        }
      }),
    );
  });

  test("carry a length only when it is one number", () => {
    const lengthOf = (...values: string[]) =>
      answerHead(values.map((value) => ["Content-Length", value])).contentLength;
    expect([
      lengthOf("5"),
      lengthOf("5", "5"),
      lengthOf("5", "6"),
      lengthOf("-1"),
      lengthOf("5, 5"),
      lengthOf(),
    ]).toEqual([5, 5, undefined, undefined, undefined, undefined]);
  });
});

describe("the lost", () => {
  const hintFor = (method: string, path: string) =>
    lost(method, path, ROUTES).error.options.hint ?? "";

  test("hear of the nearest routes first", () => {
    expect(hintFor("GET", "/servics")).toMatch(/^Nearest routes: GET \/services,/);
    expect(hintFor("POST", "/services/x/call/y")).toContain(
      "POST /services/{service_id}/calls/{name}",
    );
    expect(hintFor("GET", "/completely/else/where/and/far")).toContain("openapi.json");
  });

  test("get an answer for any path", () => {
    fc.assert(
      fc.property(fc.webPath(), (path) => {
        const { error } = lost("GET", path, ROUTES);
        expect(["not_found", "method_not_allowed"]).toContain(error.code);
      }),
    );
  });
});
