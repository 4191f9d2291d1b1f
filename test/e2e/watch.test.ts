/** Following events and logs: nothing missed, nothing twice, whatever breaks in between. */
import { createInterface } from "node:readline";
import { EventSource } from "eventsource";
import { afterAll, describe, expect, test } from "vitest";
import { stockClient } from "../support/grpc-client.ts";
import { startKernel, until, type Body, type TestTenant } from "../support/kernel.ts";
import { finishCli, type CliProcess } from "../support/run-cli.ts";
import { startSolo } from "../support/solo.ts";

const kernel = await startKernel();
afterAll(() => kernel[Symbol.asyncDispose]());

const EMITTER = `export default { calls: { emit: (solo, n) => solo.events.emit("tick", { n }), log: (solo, text) => { console.log(text); } } };`;

const idsOf = (events: readonly Body[]): number[] => events.map(({ id }) => id as number);

/** Some messages of an SSE stream, read with nothing but fetch. */
async function some(
  tenant: TestTenant,
  path: string,
  headers: Record<string, string>,
  count: number,
): Promise<Body[]> {
  const abort = new AbortController();
  const response = await tenant.fetch(path, {
    headers: { accept: "text/event-stream", ...headers },
    signal: abort.signal,
  });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const events: Body[] = [];
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + text).split("\n\n");
    rest = frames.pop()!;
    for (const frame of frames) {
      const data = /^data: ?(.*)$/m.exec(frame)?.[1];
      const id = /^id: ?(\d+)$/m.exec(frame)?.[1];
      if (data === undefined) continue;
      const event = JSON.parse(data) as Body;
      expect(Number(id)).toBe(event["id"]);
      events.push(event);
    }
    if (events.length >= count) break;
  }
  abort.abort();
  return events;
}

/** Emits until it is told to stop; resolves with how many were emitted. */
function emitting(tenant: TestTenant) {
  const stopping = new AbortController();
  let n = 0;
  const done = (async () => {
    while (!stopping.signal.aborted) {
      const answer = await tenant.ask("emitter", "emit", [n]).catch(() => undefined);
      if (answer?.status === 200) n += 1;
    }
    return n;
  })();
  return {
    get count() {
      return n;
    },
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

describe("events over SSE", () => {
  test("a client that connects again and again with Last-Event-ID sees every event once", async () => {
    const tenant = kernel.tenant("sse");
    await tenant.deploy({ service_id: "emitter", code: EMITTER });
    const load = emitting(tenant);
    const seen: Body[] = [];
    for (let round = 0; round < 12; round += 1) {
      const last = seen.at(-1)?.["id"] ?? 0;
      seen.push(
        ...(await some(
          tenant,
          "/events?event_type=service.tick",
          { "last-event-id": String(last) },
          1 + (round % 4) * 5,
        )),
      );
    }
    await load.stop();
    expect(seen.map(({ payload }) => payload.n)).toEqual(seen.map((_, index) => index));
    const listed = await tenant.events({ event_type: "service.tick", limit: seen.length });
    expect(idsOf(seen)).toEqual(idsOf(listed));
  });

  test("since_id begins after that event; without it, at what comes", async () => {
    const tenant = kernel.tenant("since");
    await tenant.deploy({ service_id: "emitter", code: EMITTER });
    for (let n = 0; n < 5; n += 1) await tenant.call("emitter", "emit", n);
    const all = await until(async () => {
      const events = await tenant.events({ event_type: "service.tick" });
      return events.length === 5 ? events : undefined;
    }, "five events");
    const rest = await some(
      tenant,
      `/events?event_type=service.tick&since_id=${all[1]!["id"]}`,
      {},
      3,
    );
    expect(idsOf(rest)).toEqual(idsOf(all).slice(2));
  });

  test("filters by tenant, service and several types", async () => {
    const [mine, other] = [kernel.tenant("mine"), kernel.tenant("other")];
    await mine.deploy({ service_id: "emitter", code: EMITTER });
    await other.deploy({ service_id: "emitter", code: EMITTER });
    await mine.deploy({ service_id: "noise", code: EMITTER });
    await mine.call("noise", "emit", 0);
    await other.call("emitter", "emit", 0);
    await mine.call("emitter", "emit", 1);
    await mine.kill("emitter");
    const events = await some(
      mine,
      "/events?service_id=emitter&event_type=service.tick,service_killed&since_id=0",
      {},
      2,
    );
    expect(
      events.map(({ tenant_id, subject, event_type }) => [tenant_id, subject, event_type]),
    ).toEqual([
      ["mine", "emitter", "service.tick"],
      ["mine", "emitter", "service_killed"],
    ]);
  });

  test("an EventSource goes on by itself after kill -9 of the kernel, without a gap", async () => {
    await using own = await startKernel();
    await own.deploy({ service_id: "emitter", code: EMITTER, persistence: "stateless" });
    const url = `${own.http}/events?event_type=service.tick&since_id=0`;
    const source = new EventSource(url, {
      fetch: (input, init) =>
        fetch(input, { ...init, headers: { ...init.headers, ...own.headers } }),
    });
    const seen: Body[] = [];
    source.addEventListener("service.tick", ({ data }) => seen.push(JSON.parse(data) as Body));
    source.addEventListener("message", ({ data }) => seen.push(JSON.parse(data) as Body));
    try {
      for (let n = 0; n < 3; n += 1) await own.call("emitter", "emit", n);
      await until(() => seen.length === 3, "the first three events");
      await own.kill9();
      await own.restart({ samePorts: true });
      for (let n = 3; n < 6; n += 1) await own.call("emitter", "emit", n);
      await until(() => seen.length === 6, "the next three events");
    } finally {
      source.close();
    }
    expect(seen.map(({ payload }) => payload.n)).toEqual([0, 1, 2, 3, 4, 5]);
    const ids = idsOf(seen);
    expect(new Set(ids).size).toBe(6);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });
});

describe("Watch over gRPC", () => {
  test("delivers from since_id and goes on live", async () => {
    const tenant = kernel.tenant("grpc");
    await tenant.deploy({ service_id: "emitter", code: EMITTER });
    await tenant.call("emitter", "emit", 0);
    const [host = "", port = ""] = kernel.grpc.split(":");
    const client = stockClient({ host, port: Number(port) });
    const stream = client.stream(
      "Watch",
      { since_id: 0, event_type: "service.tick" },
      { metadata: { authorization: `Bearer ${kernel.token}`, "x-solo-tenant": "grpc" } },
    );
    const seen: Body[] = [];
    stream.on("data", (event: Body) => seen.push(event)).on("error", () => {});
    await until(() => seen.length === 1, "the first event");
    await tenant.call("emitter", "emit", 1);
    await until(() => seen.length === 2, "the second event");
    stream.cancel();
    client.close();
    expect(
      seen.every(
        ({ event_type, tenant_id }) => event_type === "service.tick" && tenant_id === "grpc",
      ),
    ).toBe(true);
  });
});

/** The lines of a command that follows, parsed. */
function followed(child: CliProcess): Body[] {
  const lines: Body[] = [];
  createInterface({ input: child.stdout }).on("line", (line) =>
    lines.push(JSON.parse(line) as Body),
  );
  return lines;
}

describe("the command line follows", () => {
  test("events and logs, and ends in good order, with 0, on Ctrl-C", async () => {
    const tenant = kernel.tenant("cli");
    await tenant.deploy({ service_id: "emitter", code: EMITTER });
    await tenant.call("emitter", "log", "before");
    const options = { dataDir: kernel.dataDir };
    const events = startSolo(
      [
        "events",
        "-f",
        "--json",
        "--tenant",
        "cli",
        "--since-id",
        "0",
        "--event-type",
        "service.tick",
      ],
      options,
    );
    const logs = startSolo(["logs", "emitter", "-f", "--json", "--tenant", "cli"], options);
    const [ticks, lines] = [followed(events), followed(logs)];
    const ends = [finishCli(events), finishCli(logs)];
    await until(() => lines.length === 1, "the line from before");
    await tenant.call("emitter", "emit", 0);
    await tenant.call("emitter", "log", "after");
    await until(() => ticks.length === 1 && lines.length === 2, "both to follow");
    expect(lines.map(({ text }) => text)).toEqual(["before", "after"]);
    for (const child of [events, logs]) child.kill("SIGINT");
    for (const end of await Promise.all(ends)) expect(end.code).toBe(0);
  });
});

describe("logs over REST", () => {
  test("follow from a line on, as JSON lines", async () => {
    const tenant = kernel.tenant("logs");
    await tenant.deploy({ service_id: "emitter", code: EMITTER });
    for (const text of ["a", "b", "c"]) await tenant.call("emitter", "log", text);
    const written = await until(async () => {
      const lines = await tenant.logs("emitter");
      return lines.length === 3 ? lines : undefined;
    }, "three lines");
    const abort = new AbortController();
    const response = await tenant.fetch(
      `/services/emitter/logs?follow=true&since=${written[1]!["seq"]}`,
      { signal: abort.signal },
    );
    expect(response.headers.get("content-type")).toContain("ndjson");
    const texts: string[] = [];
    await tenant.call("emitter", "log", "d");
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      texts.push(
        ...chunk
          .split("\n")
          .filter(Boolean)
          .map((line) => (JSON.parse(line) as Body)["text"]),
      );
      if (texts.length >= 2) break;
    }
    abort.abort();
    expect(texts).toEqual(["c", "d"]);
    const newest = await tenant.fetch("/services/emitter/logs?limit=2");
    expect(
      (await newest.text())
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as Body)["text"]),
    ).toEqual(["c", "d"]);
  });
});

describe("the event log", () => {
  test("is dense, in order, and verifies", async () => {
    const events = await kernel.events();
    expect(idsOf(events)).toEqual(events.map((_, index) => index + 1));
    const { body } = await kernel.request("POST", "/events/verify", {});
    expect(body).toMatchObject({ ok: true });
    expect(body.checked).toBeGreaterThanOrEqual(events.length);
  });

  test("pages through with limit and since_id, forwards and newest first, and by time", async () => {
    const first = await kernel.events({ limit: 3 });
    const next = await kernel.events({ limit: 3, since_id: first.at(-1)!["id"] });
    expect(idsOf([...first, ...next])).toEqual([1, 2, 3, 4, 5, 6]);
    await until(async () => {
      const [newest] = await kernel.events({ limit: 1, newest_first: true });
      return newest!["id"] === (await kernel.request("GET", "/events?limit=1")).body.last_id;
    }, "the newest to be the last, when none comes in between");
    const from = first[1]!["wall_clock"];
    const { body } = await kernel.request(
      "GET",
      `/events?limit=1&from=${encodeURIComponent(from)}`,
    );
    expect(Date.parse(body.events[0].wall_clock)).toBeGreaterThanOrEqual(Date.parse(from));
    expect(
      (await kernel.request("GET", `/events?to=${encodeURIComponent(first[0]!["wall_clock"])}`))
        .body.events,
    ).toEqual([]);
  });
});
