import { describe, expect, expectTypeOf, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import { SoloError } from "#base/errors.ts";
import { createClient } from "#client/index.ts";
import { methodName, operationNames } from "#client/operations.ts";
import { FakeKernel, TOKEN, closedUrl, json, problem } from "../support/fake-http.ts";

const clientOf = (kernel: FakeKernel, more: object = {}) =>
  createClient({ url: kernel.url, token: TOKEN, ...more });

const caught = (promise: Promise<unknown>): Promise<SoloError> =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => {
      expect(error).toBeInstanceOf(SoloError);
      return error as SoloError;
    },
  );

describe("the client", () => {
  test("has a method for every operation", () => {
    const client = createClient({ url: "http://127.0.0.1:1" });
    expect(Object.keys(client)).toEqual(
      Object.keys(catalogue).map((name) => methodName(name as "Call")),
    );
    expect(operationNames).toEqual(Object.keys(catalogue));
  });

  test("sends the token, the tenant and the input, and gives back the output", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("POST /services/counter/calls/add", json({ reply: 3 }));
    const client = clientOf(kernel, { tenant: "acme" });
    const answer = await client.call({ service_id: "counter", name: "add", args: [1, 2] });
    expectTypeOf(answer.reply).not.toBeAny();
    expect(answer).toEqual({ reply: 3 });
    expect(kernel.last).toMatchObject({
      body: { args: [1, 2] },
      headers: { authorization: `Bearer ${TOKEN}`, "x-solo-tenant": "acme" },
    });
  });

  test("needs no input where nothing is required", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services", json({ services: [] }));
    expect(await clientOf(kernel).list()).toEqual({ services: [] });
  });
});

describe("an error", () => {
  test("is the one that the kernel sent, with everything in it", async () => {
    await using kernel = await FakeKernel.start();
    const diagnostics = [
      { code: "syntax", severity: "error", message: "no", file: "a.ts", line: 1 },
    ];
    const errors = [{ field: "limits.memory_mb", message: "is too small" }];
    kernel.on(
      "POST /services",
      problem("compile_failed", {
        hint: "Fix it.",
        errors,
        diagnostics,
        retry_after_ms: 5,
        stack: "at a.ts:1",
      }),
    );
    const error = await caught(clientOf(kernel).deploy({ service_id: "a", code: "x" }));
    expect(error.code).toBe("compile_failed");
    expect(error.message).toBe("It is compile_failed.");
    expect(error.options).toEqual({
      hint: "Fix it.",
      fields: errors,
      diagnostics,
      retryAfterMs: 5,
      stack: "at a.ts:1",
    });
  });

  test("says that no kernel is there, and how to start one", async () => {
    for (const url of [await closedUrl(), "http://127.0.0.1:1"]) {
      const error = await caught(createClient({ url }).call({ service_id: "a", name: "n" }));
      expect(error.code).toBe("kernel_unreachable");
      expect(error.options.hint).toContain("solo start");
    }
  });

  test("says that something else answers", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /health", (_request, response) => response.end("<html>hello</html>"));
    kernel.on("GET /tree", (_request, response) =>
      response.writeHead(302, { location: "/" }).end(),
    );
    for (const method of ["health", "tree"] as const) {
      const error = await caught(clientOf(kernel)[method]());
      expect(error.code).toBe("kernel_unreachable");
      expect(error.options.hint).toContain("SOLO_URL");
    }
    expect(kernel.requests).toHaveLength(2);
  });

  test("is a deadline when the kernel takes longer than was given", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /health", () => {});
    const error = await caught(clientOf(kernel, { timeoutMs: 20 }).health());
    expect(error.code).toBe("deadline_exceeded");
  });

  test("is a deadline also when only the end of the answer is missing", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /health", (_request, response) => response.writeHead(200).write('{"sta'));
    const error = await caught(clientOf(kernel, { timeoutMs: 50 }).health());
    expect(error.code).toBe("deadline_exceeded");
  });

  test("is an unknown outcome when the connection breaks under a change", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("POST /services/a/calls/n", (_request, response) => response.destroy());
    kernel.on("GET /services/a", (_request, response) => response.destroy());
    const client = clientOf(kernel);
    const changed = await caught(client.call({ service_id: "a", name: "n" }));
    expect(changed.code).toBe("outcome_unknown");
    const looked = await caught(client.status({ service_id: "a" }));
    expect(looked.code).toBe("kernel_unreachable");
  });

  test("is a cancellation when the caller's signal fires", async () => {
    await using kernel = await FakeKernel.start();
    const stop = new AbortController();
    kernel.on("GET /health", () => stop.abort());
    const error = await caught(clientOf(kernel).health({}, { signal: stop.signal }));
    expect(error.code).toBe("cancelled");
  });

  test.each(["localhost:8080", "ftp://host", "http://me:secret@host", ""])(
    "refuses the address %j",
    (url) => {
      expect(() => createClient({ url })).toThrow("address");
    },
  );

  test("refuses a token that would break the header, without repeating it", () => {
    const make = () => createClient({ url: "http://127.0.0.1:1", token: "se\r\ncret" });
    expect(make).toThrow(/token/);
    expect(make).not.toThrow(/cret/);
  });
});
