import { EventSource } from "eventsource";
import { describe, expect, onTestFinished, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { AUTH, problemOf, RawClient, startGateway } from "../support/rest-harness.ts";
import { aborted, event, signalled } from "../support/fake-rest-kernel.ts";

const SSE = { ...AUTH, accept: "text/event-stream" } as const;

const withToken = (url: string) => {
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init?.headers, ...AUTH } }),
  });
  onTestFinished(() => source.close());
  return source;
};

/** Events after `since_id`, three of them, and then silence until the client goes. */
async function* threeMore(
  { since_id = 0 }: { since_id?: number },
  { signal }: { signal: AbortSignal },
) {
  for (let id = since_id + 1; id <= since_id + 3; id++) yield event(id);
  await aborted(signal);
}

describe("an event stream", () => {
  test("carries each event's id, type and JSON", async () => {
    const { url } = await startGateway({
      streams: {
        Watch: async function* () {
          yield event(1);
          yield event(2, "service.odd\nid: 99");
        },
      },
    });
    const response = await fetch(`${url}/events`, { headers: SSE });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    expect(await response.text()).toBe(
      "retry: 2000\n\n" +
        `id: 1\nevent: service_started\ndata: ${JSON.stringify(event(1))}\n\n` +
        `id: 2\nevent: service.odd id: 99\ndata: ${JSON.stringify(event(2, "service.odd\nid: 99"))}\n\n`,
    );
  });

  test("is chosen by Accept; others get JSON from the same path", async () => {
    const { url } = await startGateway({
      calls: { ListEvents: () => ({ events: [], last_id: 0 }) },
      streams: { Watch: async function* () {} },
    });
    const typeFor = async (accept: string) =>
      (await fetch(`${url}/events`, { headers: { ...AUTH, accept } })).headers.get("content-type");
    expect(await typeFor("*/*")).toContain("json");
    expect(await typeFor("application/json")).toContain("json");
    expect(await typeFor("text/event-stream;q=0, application/json")).toContain("json");
    expect(await typeFor("text/html, text/event-stream;q=0.9")).toContain("event-stream");
  });

  test("resumes where an EventSource was cut off, without gap or repeat", async () => {
    const { url, kernel, gateway } = await startGateway({ streams: { Watch: threeMore } });
    const ids: string[] = [];
    const six = signalled("six events");
    const source = withToken(`${url}/events?since_id=10`);
    source.addEventListener("service_started", (message) => {
      ids.push(message.lastEventId);
      if (ids.length === 3) void gateway.stop({ graceMs: 0 }).then(reopen);
      if (ids.length === 6) six.resolve();
    });
    const reopen = () =>
      startGatewayAgain(gateway.address.port, { streams: { Watch: threeMore } }).then((again) => {
        second = again;
      });
    let second: Awaited<ReturnType<typeof startGateway>> | undefined;
    await six.promise;
    expect(ids).toEqual(["11", "12", "13", "14", "15", "16"]);
    expect(kernel.seen[0]?.input).toEqual({ since_id: 10 });
    expect(second?.kernel.seen[0]?.input).toEqual({ since_id: 13 });
  });

  test("refuses before it opens with a plain problem", async () => {
    const { url } = await startGateway({
      streams: {
        Watch: () => {
          throw new SoloError("permission_denied", "Not yours.");
        },
      },
    });
    const stranger = await fetch(`${url}/events`, { headers: { accept: "text/event-stream" } });
    expect([stranger.status, (await problemOf(stranger)).code]).toEqual([401, "unauthenticated"]);
    const denied = await fetch(`${url}/events`, { headers: SSE });
    expect([denied.status, (await problemOf(denied)).code]).toEqual([403, "permission_denied"]);
    const odd = await fetch(`${url}/events`, { headers: { ...SSE, "last-event-id": "x" } });
    expect((await problemOf(odd)).errors[0]?.field).toBe("Last-Event-ID");
  });

  test("ends with an error frame when it fails later", async () => {
    const { url } = await startGateway({
      streams: {
        Watch: async function* () {
          yield event(1);
          throw new SoloError("unavailable", "The store restarts.");
        },
      },
    });
    const text = await (await fetch(`${url}/events`, { headers: SSE })).text();
    const [, frame = ""] = text.split("event: error\ndata: ");
    expect(JSON.parse(frame)).toMatchObject({ code: "unavailable", status: 503 });
    expect(frame.endsWith("\n\n")).toBe(true);
  });

  test("opens although nothing happens, and shows that it lives", async () => {
    const { url } = await startGateway(
      { streams: { Watch: threeMore } },
      { limits: { heartbeatMs: 20, streamOpenMs: 5 } },
    );
    const controller = new AbortController();
    const response = await fetch(`${url}/events?since_id=1`, {
      headers: SSE,
      signal: controller.signal,
    });
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("\n:\n\n")) text += decoder.decode((await reader.read()).value);
    controller.abort();
    await reader.cancel().catch(() => {});
    expect(text.startsWith("retry: 2000\n\n")).toBe(true);
  });

  test("aborts the kernel's signal and ends its iteration as soon as the client is gone", async () => {
    const gone = signalled("the end of the iteration");
    const { url } = await startGateway({
      streams: {
        Watch: async function* (_input, { signal }) {
          try {
            yield event(1);
            await aborted(signal);
          } finally {
            gone.resolve();
          }
        },
      },
    });
    const controller = new AbortController();
    const response = await fetch(`${url}/events`, { headers: SSE, signal: controller.signal });
    await response.body?.getReader().read();
    controller.abort();
    await expect(gone.promise).resolves.toBeUndefined();
  });

  test("takes no more from the kernel than the client reads, and cuts off who never reads", async () => {
    let taken = 0;
    const gone = signalled("the cut");
    const payload = { filler: "x".repeat(64 * 1024) };
    const { port } = await startGateway(
      {
        streams: {
          Watch: async function* (_input, { signal }) {
            signal.addEventListener("abort", () => gone.resolve(), { once: true });
            for (let id = 1; id <= 10_000 && !signal.aborted; id++) {
              taken = id;
              yield { ...event(id), payload };
            }
          },
        },
      },
      { limits: { stallMs: 200 } },
    );
    const client = new RawClient(port);
    await client.request([
      "GET /events HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Accept: text/event-stream",
      `Authorization: ${AUTH.authorization}`,
    ]);
    client.socket.pause();
    await gone.promise;
    expect(taken).toBeLessThan(1_000);
  });

  test("says goodbye when the gateway stops", async () => {
    const { url, gateway } = await startGateway({ streams: { Watch: threeMore } });
    const response = await fetch(`${url}/events`, { headers: SSE });
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    await reader.read();
    const [rest] = await Promise.all([readAll(reader), gateway.stop({ graceMs: 5_000 })]);
    expect(rest.endsWith(": the kernel is stopping\n\n")).toBe(true);
  });
});

describe("a log stream", () => {
  const line = (seq: number) => ({
    seq,
    at: "2026-01-01T00:00:00Z",
    level: "info",
    text: "a\nb",
    instance_id: "i",
  });

  test("is JSON lines that end when nothing is followed", async () => {
    const { url, kernel } = await startGateway({
      streams: {
        Logs: async function* () {
          yield line(1);
          yield line(2);
        },
      },
    });
    const response = await fetch(`${url}/services/x/logs?follow=false&limit=2`, { headers: AUTH });
    expect(response.headers.get("content-type")).toContain("application/x-ndjson");
    const lines = (await response.text())
      .trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text) as unknown);
    expect(lines).toEqual([line(1), line(2)]);
    expect(kernel.seen[0]?.input).toEqual({ service_id: "x", follow: false, limit: 2 });
  });

  test("ends with the problem as its last line when it fails", async () => {
    const { url } = await startGateway({
      streams: {
        Logs: async function* () {
          yield line(1);
          throw new SoloError("service_not_found", "Killed.");
        },
      },
    });
    const text = await (
      await fetch(`${url}/services/x/logs?follow=true`, { headers: AUTH })
    ).text();
    expect(JSON.parse(text.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      code: "service_not_found",
    });
  });
});

const startGatewayAgain = (port: number, kernel: Parameters<typeof startGateway>[0]) =>
  startGateway(kernel, { port });

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
}
