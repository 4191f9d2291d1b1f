import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { AUTH, problemOf, sendJson, startGateway } from "../support/rest-harness.ts";
import { aborted, signalled } from "../support/fake-rest-kernel.ts";

const echo = { Call: (input: { args?: unknown[] }) => ({ reply: input.args?.[0] ?? null }) };
const call = (url: string, name = "y") => `${url}/services/x/calls/${name}`;

describe("an operation over REST", () => {
  test("takes path and JSON body as one input and answers with the operation's status", async () => {
    const { url, kernel } = await startGateway({
      calls: { Deploy: (input: { service_id: string }) => ({ service_id: input.service_id }) },
    });
    const response = await sendJson(`${url}/services`, { service_id: "a", code: "x" });
    expect(response.status).toBe(201);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.json()).toEqual({ service_id: "a" });
    expect(kernel.seen[0]?.input).toEqual({ service_id: "a", code: "x" });
  });

  test("carries the token and the tenant of the header", async () => {
    const { url, kernel } = await startGateway({ calls: echo });
    await fetch(call(url), { method: "POST", headers: { ...AUTH, "x-solo-tenant": "t2" } });
    expect(kernel.seen[0]?.context.credentials).toEqual({ token: "solo_test", tenant: "t2" });
  });

  test("works without a body where nothing is needed", async () => {
    const { url } = await startGateway({ calls: echo });
    const response = await fetch(call(url), { method: "POST", headers: AUTH });
    expect(await response.json()).toEqual({ reply: null });
  });

  test("reads typed values from the query", async () => {
    const { url, kernel } = await startGateway({
      calls: { Kill: () => ({}), List: () => ({ services: [] }) },
    });
    const killed = await fetch(`${url}/services/x?force=1&timeout_ms=250`, {
      method: "DELETE",
      headers: AUTH,
    });
    expect(killed.status).toBe(202);
    await fetch(`${url}/services?limit=5&after=b`, { headers: AUTH });
    expect(kernel.seen.map(({ input }) => input)).toEqual([
      { service_id: "x", force: true, timeout_ms: 250 },
      { limit: 5, after: "b" },
    ]);
  });

  test("refuses bad, unknown and repeated query parameters by name, all at once", async () => {
    const { url } = await startGateway();
    const query = "limit=many&nonsense=1&after=a&after=b";
    const response = await fetch(`${url}/services?${query}`, { headers: AUTH });
    expect(response.status).toBe(400);
    const { errors, code } = await problemOf(response);
    expect(code).toBe("invalid_argument");
    expect(errors.map(({ field }) => field)).toEqual(["limit", "nonsense", "after"]);
    const force = await fetch(`${url}/services/x?force=yes`, { method: "DELETE", headers: AUTH });
    expect((await problemOf(force)).errors[0]?.message).toContain("true");
  });

  test("refuses a body field that contradicts the path, and parameters in the wrong place", async () => {
    const { url } = await startGateway();
    const contradiction = await sendJson(`${url}/services/a`, { service_id: "b", code: "" }, "PUT");
    expect((await problemOf(contradiction)).errors[0]?.field).toBe("service_id");
    const misplaced = await sendJson(`${call(url)}?timeout_ms=5`, {});
    expect((await problemOf(misplaced)).errors[0]?.message).toContain("JSON body");
    const deleted = await sendJson(`${url}/services/a`, { force: true }, "DELETE");
    expect((await problemOf(deleted)).errors[0]?.field).toBe("body");
  });

  test("answers HEAD like GET, without the body", async () => {
    const { url } = await startGateway({ calls: { List: () => ({ services: [] }) } });
    const response = await fetch(`${url}/services`, { method: "HEAD", headers: AUTH });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe("15");
    expect(await response.text()).toBe("");
  });

  test("aborts the kernel's signal when the client goes away", async () => {
    const gone = signalled("the abort");
    const begun = signalled("the call");
    const { url } = await startGateway({
      calls: {
        Call: async (_input, { signal }) => {
          begun.resolve();
          await aborted(signal);
          gone.resolve();
          throw new SoloError("cancelled", "gone");
        },
      },
    });
    const controller = new AbortController();
    const answer = fetch(call(url), { method: "POST", headers: AUTH, signal: controller.signal });
    answer.catch(() => {});
    await begun.promise;
    controller.abort();
    await gone.promise;
    await expect(answer).rejects.toThrow("aborted");
  });

  test("does not abort the signal of an answered request", async () => {
    const { url, kernel } = await startGateway({ calls: echo });
    await (await sendJson(call(url), {})).text();
    await (await sendJson(call(url), {})).text();
    expect(kernel.seen[0]?.context.signal.aborted).toBe(false);
  });
});

describe("a refusal over REST", () => {
  test("is a problem document with everything the error says", async () => {
    const diagnostic = {
      code: "syntax",
      severity: "error",
      message: "m",
      file: "index.ts",
      line: 1,
      column: 2,
      excerpt: "e",
      explanation: "x",
    } as const;
    const { url } = await startGateway({
      calls: {
        Deploy: () => {
          throw new SoloError("compile_failed", "It does not parse.", {
            hint: "Close the brace.",
            diagnostics: [diagnostic],
            stack: "at index.ts:1",
            serviceCode: "E_MINE",
          });
        },
      },
    });
    const response = await sendJson(`${url}/services`, { service_id: "a" });
    expect(response.status).toBe(422);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({
      type: "/docs/errors#compile_failed",
      title: "Source does not compile",
      status: 422,
      code: "compile_failed",
      detail: "It does not parse.",
      hint: "Close the brace.",
      diagnostics: [diagnostic],
      stack: "at index.ts:1",
      service_code: "E_MINE",
    });
  });

  test("says when to try again", async () => {
    const { url } = await startGateway({
      calls: {
        Call: () => {
          throw new SoloError("overloaded", "Busy.", { retryAfterMs: 1500 });
        },
      },
    });
    const response = await sendJson(call(url), {});
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect((await problemOf(response))["retry_after_ms"]).toBe(1500);
  });

  test("asks a stranger for a token", async () => {
    const { url } = await startGateway();
    const response = await fetch(`${url}/services`);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="solo"');
  });

  test("keeps what nobody foresaw to the log", async () => {
    const lines: unknown[] = [];
    const log = {
      debug() {},
      info() {},
      warn() {},
      error: (...line: unknown[]) => lines.push(line),
    };
    const { url } = await startGateway(
      {
        calls: {
          Call: () => {
            throw new Error("/host/path leaked");
          },
        },
      },
      { log },
    );
    const response = await sendJson(call(url), {});
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("/host/path");
    expect(JSON.stringify(lines)).toContain("/host/path");
  });

  test("names the place where JSON stops making sense", async () => {
    const { url } = await startGateway();
    const at = async (body: string) => (await problemOf(await sendJson(call(url), body))).detail;
    expect(await at('{\n "args": [1,]\n}')).toContain("line 2, column 13");
    expect(await at('{"args": x}')).toContain("line 1, column 10");
    expect(await at("{")).toContain("line 1, column 2");
    expect(await at("[".repeat(400))).toContain("line 1, column 401");
    expect(await at("[".repeat(100_000))).toContain("levels deep");
    expect(await at(`"${"\\".repeat(1_000_001)}`)).toContain("it does not parse");
    expect(await at("[]")).toContain("JSON object");
    expect(await at("null")).toContain("JSON object");
  });

  test("covers bytes that are not UTF-8, deep nesting and __proto__ keys", async () => {
    const { url } = await startGateway({ calls: echo });
    const bytes = await fetch(call(url), {
      method: "POST",
      headers: { ...AUTH, "content-type": "application/json" },
      body: Buffer.from([0x22, 0xff, 0x22]),
    });
    expect((await problemOf(bytes)).detail).toContain("UTF-8");
    const deep = await sendJson(call(url), `{"args":[${"[".repeat(200)}${"]".repeat(200)}]}`);
    expect((await problemOf(deep)).detail).toContain("nested too deeply");
    const proto = await sendJson(call(url), '{"args":[{"a":{"__proto__":{"polluted":1}}}]}');
    expect((await problemOf(proto)).errors[0]?.field).toBe("args.0.a.__proto__");
    const escaped = await sendJson(call(url), '{"\\u005f_proto__":{"polluted":1}}');
    expect(escaped.status).toBe(400);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("covers bodies that are not JSON by type, but takes +json and charsets", async () => {
    const { url } = await startGateway({ calls: echo });
    const send = (type: string) =>
      fetch(call(url), {
        method: "POST",
        headers: { ...AUTH, "content-type": type },
        body: '{"args":[7]}',
      });
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "application/jsonx",
    ]) {
      const response = await send(type);
      expect([type, response.status]).toEqual([type, 415]);
      expect((await problemOf(response)).code).toBe("unsupported_media_type");
    }
    for (const type of [
      "application/json; charset=utf-8",
      "application/vnd.solo+json",
      "Application/JSON",
    ]) {
      expect([type, (await send(type)).status]).toEqual([type, 200]);
    }
  });

  test("covers a body that is too large, announced or not", async () => {
    const { url } = await startGateway({ calls: echo }, { limits: { bodyBytes: 1024 } });
    const big = JSON.stringify({ args: ["x".repeat(5_000)] });
    const announced = await sendJson(call(url), big);
    expect(announced.status).toBe(413);
    const chunked = await fetch(call(url), {
      method: "POST",
      headers: { ...AUTH, "content-type": "application/json" },
      body: new Blob([big]).stream(),
      duplex: "half",
    });
    expect((await problemOf(chunked)).code).toBe("payload_too_large");
  });

  test("tells the lost where they might have wanted to go", async () => {
    const { url } = await startGateway();
    const unknown = await fetch(`${url}/service/x`, { headers: AUTH });
    expect(unknown.status).toBe(404);
    expect((await problemOf(unknown)).hint).toContain("GET /services/{service_id}");
    const method = await fetch(`${url}/services/x`, { method: "PATCH", headers: AUTH });
    expect(method.status).toBe(405);
    expect(method.headers.get("allow")).toBe("DELETE, GET, HEAD, PUT");
    const encoded = await fetch(`${url}/services/%zz`, { headers: AUTH });
    expect((await problemOf(encoded)).code).toBe("invalid_argument");
  });

  test("leaves absurd ids to the kernel's own words", async () => {
    const { url } = await startGateway();
    for (const id of ["..%2F..", "__proto__", "a".repeat(5_000), "%00", "a%20b"]) {
      const response = await fetch(`${url}/services/${id}`, { headers: AUTH });
      const { code, errors } = await problemOf(response);
      expect([id, code, errors[0]?.field]).toEqual([id, "invalid_argument", "service_id"]);
    }
  });
});
