import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { SoloError } from "#base/errors.ts";
import { createClient } from "#client/index.ts";
import { MAX_RECONNECTS, RECONNECT_MAX_MS } from "#client/limits.ts";
import { decideReconnect } from "#client/reconnect.ts";
import { FakeKernel, TOKEN, closedUrl, json, openSse, problem, sse } from "../support/fake-http.ts";

const clientOf = (kernel: FakeKernel) =>
  createClient({ url: kernel.url, token: TOKEN, random: () => 0 });

async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

describe("watching events", () => {
  test("goes on after a break behind the last one seen: none missed, none twice", async () => {
    await using kernel = await FakeKernel.start();
    const log = [5, 6, 7, 8, 9, 10];
    kernel.on("GET /events", (request, response) => {
      const after = Number(request.headers["last-event-id"]);
      const body = openSse(response);
      // Two at a time, the last of the connection before once more, and then a broken frame.
      const next = log.filter((id) => id >= after).slice(0, 3);
      body.write(`${next.map((id) => sse(id)).join("")}id: 99\ndata: {"id"`, () =>
        response.destroy(),
      );
    });
    const events = await take(clientOf(kernel).watch({ since_id: 4 }), 6);
    expect(events.map(({ id }) => id)).toEqual(log);
    expect(kernel.requests.map(({ headers }) => headers["last-event-id"])).toEqual(["4", "7", "9"]);
  });

  test("from now asks where now is, so that a break before the first event loses none", async () => {
    await using kernel = await FakeKernel.start();
    let connections = 0;
    kernel.on("GET /events", (request, response) => {
      if (request.headers.accept === "application/json") {
        return json({ events: [], last_id: 41 })(request, response);
      }
      connections += 1;
      if (connections === 1) return openSse(response).end();
      return openSse(response).write(sse(42));
    });
    const events = await take(clientOf(kernel).watch({ service_id: "counter" }), 1);
    expect(events[0]?.id).toBe(42);
    expect(kernel.requests[1]?.query).toEqual({ service_id: "counter", since_id: "41" });
    expect(kernel.requests[2]?.headers["last-event-id"]).toBe("41");
  });

  test("ends without an error when its signal fires", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /events", (_request, response) => openSse(response).write(sse(1)));
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const event of clientOf(kernel).watch({ since_id: 0 }, { signal: stop.signal })) {
      seen.push(event.id);
      stop.abort();
    }
    expect(seen).toEqual([1]);
  });

  test("closes its connection when the loop is left", async () => {
    await using kernel = await FakeKernel.start();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    kernel.on("GET /events", (_request, response) => {
      response.once("close", resolve);
      openSse(response).write(sse(1));
    });
    await take(clientOf(kernel).watch({ since_id: 0 }), 1);
    await expect(closed).resolves.toBeUndefined();
  });

  test("throws a refusal at once, also one that comes in the stream", async () => {
    await using kernel = await FakeKernel.start();
    const client = clientOf(kernel);
    kernel.on("GET /events", problem("permission_denied"));
    await expect(take(client.watch({ since_id: 0 }), 1)).rejects.toMatchObject({
      code: "permission_denied",
    });
    kernel.on("GET /events", (_request, response) => {
      const body = JSON.stringify({ code: "storage_corrupt", status: 500, detail: "Broken." });
      openSse(response).end(`event: error\ndata: ${body}\n\n`);
    });
    await expect(take(client.watch({ since_id: 0 }), 1)).rejects.toMatchObject({
      code: "storage_corrupt",
    });
    expect(kernel.requests).toHaveLength(2);
  });

  test("gives an event named error like any other", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /events", (_request, response) =>
      openSse(response).write(sse(3, { event_type: "error" })),
    );
    const [event] = await take(clientOf(kernel).watch({ since_id: 2 }), 1);
    expect(event?.event_type).toBe("error");
  });

  test("does not wait for a kernel that never answered", async () => {
    const client = createClient({ url: await closedUrl() });
    await expect(take(client.watch({ since_id: 0 }), 1)).rejects.toMatchObject({
      code: "kernel_unreachable",
    });
  });
});

describe("logs", () => {
  const line = (seq: number) =>
    `${JSON.stringify({ seq, at: "t", level: "info", text: `${seq}`, instance_id: "i" })}\n`;

  test("end where they end", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a/logs", (_request, response) => response.end(line(1) + line(2)));
    const lines = await take(clientOf(kernel).logs({ service_id: "a" }), 5);
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(kernel.requests).toHaveLength(1);
  });

  test("that break off are an error, not an end", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a/logs", (_request, response) =>
      response.write(line(1), () => response.destroy()),
    );
    await expect(take(clientOf(kernel).logs({ service_id: "a" }), 5)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("with a failure as the last line throw it", async () => {
    await using kernel = await FakeKernel.start();
    const body = JSON.stringify({ code: "internal", status: 500, detail: "Oh." });
    kernel.on("GET /services/a/logs", (_request, response) => response.end(`${line(1)}${body}\n`));
    await expect(take(clientOf(kernel).logs({ service_id: "a" }), 5)).rejects.toThrow("Oh.");
  });

  test("that are followed go on after a break", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a/logs", ({ query }, response) => {
      const since = Number(query["since"] ?? 0);
      response.write(line(since + 1) + line(since + 2), () => response.destroy());
    });
    const input = { service_id: "a", follow: true, limit: 10 };
    const lines = await take(clientOf(kernel).logs(input), 4);
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(kernel.requests.map(({ query }) => query)).toEqual([
      { follow: "true", limit: "10" },
      { follow: "true", since: "2" },
    ]);
  });
});

describe("the decision to reconnect", () => {
  const passing = new SoloError("unavailable", "Gone.");

  test("gives up after a bounded number of failures and never waits beyond its bound", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
        const decision = decideReconnect({ error: passing, failures, random });
        const gaveUp = decision === "give_up";
        expect(gaveUp).toBe(failures >= MAX_RECONNECTS);
        expect(gaveUp ? 0 : decision.afterMs).toBeLessThanOrEqual(RECONNECT_MAX_MS);
      }),
    );
  });

  test("never repeats a refusal", () => {
    const error = new SoloError("service_not_found", "No.");
    expect(decideReconnect({ error, failures: 0, random: 0 })).toBe("give_up");
  });

  test("waits at least as long as the kernel asked for", () => {
    const error = new SoloError("overloaded", "Busy.", { retryAfterMs: 9_000 });
    expect(decideReconnect({ error, failures: 0, random: 0 })).toEqual({ afterMs: 9_000 });
  });
});
