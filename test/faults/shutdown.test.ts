/** How a kernel ends: in order when asked, at once when asked twice. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { holdRequest } from "../support/held-request.ts";
import { startInProcess } from "../support/kernel-in-process.ts";
import { descendants, isAlive, type ProcessRef } from "../support/processes.ts";
import { portFlags, startKernel, until, type TestKernel } from "../support/kernel.ts";

const SERVICE = `export default {
  init: () => ({ count: 0 }),
  calls: {
    increment: (solo) => (solo.state.count += 1),
    get: (solo) => solo.state.count,
    async slow(solo, ms) { await solo.sleep(ms); return "done"; },
    ended: (solo) => solo.kv.get("ended"),
  },
  async fetch(request) { return new Response(await request.text()); },
  async terminate(solo, reason) { await solo.kv.put("ended", [reason, solo.state.count]); },
};`;
const LOOP = `export default { calls: { spin: () => { for (;;); } } };`;

const atWork = (kernel: TestKernel, service: string) =>
  until(
    async () => (await kernel.status(service))["mailbox_length"] > 0,
    `${service} to be at work`,
  );
const stopping = (kernel: TestKernel) =>
  until(
    async () => (await kernel.request("GET", "/health")).body["status"] === "stopping",
    "the kernel to be stopping",
  );

describe("asked to stop once", () => {
  test("a kernel answers what is in flight, takes nothing new, and keeps everything", async () => {
    await using kernel = await startKernel();
    await kernel.deploy({ service_id: "svc", code: SERVICE, persistence: "hybrid" });
    await kernel.call("svc", "increment");
    await kernel.call("svc", "increment");
    const held = holdRequest(kernel, "svc");
    const stream = await kernel.fetch("/events", { headers: { accept: "text/event-stream" } });
    const streamed = stream.text();
    await atWork(kernel, "svc");
    kernel.signal("SIGTERM");
    await stopping(kernel);
    const { status, body } = await kernel.ask("svc", "get");
    expect({ status, code: body.code }).toEqual({ status: 503, code: "shutting_down" });
    expect(await held.finish()).toBe("held");
    expect(await kernel.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(join(kernel.dataDir, "kernel.json"))).toBe(false);
    // The stream ended as a stream does, and told of the end of its kernel or before.
    expect(await streamed).toContain("event");

    await kernel.restart();
    expect(await kernel.call("svc", "get")).toBe(2);
    expect(await kernel.call("svc", "ended")).toEqual(["stop", 2]);
    const [, stopped, again] = await kernel
      .request("GET", "/events?event_type=system_started,system_stopped")
      .then(({ body: { events } }) => events);
    expect(stopped).toMatchObject({ event_type: "system_stopped", payload: { reason: "SIGTERM" } });
    expect(again).toMatchObject({ event_type: "system_started" });
  });

  test("over the API, with a drain of its own", async () => {
    await using kernel = await startKernel();
    await kernel.deploy({ service_id: "svc", code: SERVICE });
    const slow = kernel.ask("svc", "slow", [20_000]);
    await atWork(kernel, "svc");
    expect((await kernel.request("POST", "/shutdown", { drain_ms: 0 })).status).toBe(202);
    // With the usual drain it would be answered.
    expect((await slow).body.code).toMatch(/^(outcome_unknown|service_not_running|shutting_down)$/);
    expect(await kernel.exited).toEqual({ code: 0, signal: null });
  });

  test("a handler whose caller has given up is not waited for", async () => {
    await using solo = await startInProcess();
    const service_id = "svc";
    const restart_limits = { shutdown_timeout_ms: 200 };
    await solo.ask("Deploy", { service_id, code: SERVICE, restart_limits });
    // Twice as long each time, for a machine on which it is over before the handler has begun.
    let timeout_ms = 50;
    await until(async () => {
      timeout_ms *= 2;
      const call = { service_id, name: "slow", args: [600_000], timeout_ms };
      await expect(solo.ask("Call", call)).rejects.toMatchObject({ code: "deadline_exceeded" });
      return (await solo.ask("Status", { service_id })).mailbox_length === 1;
    }, "a handler that goes on without its caller");
    // A drain that waited for the handler would take longer than this test may.
    await solo.kernel.stop({ reason: "test", drainMs: 600_000 });
  });

  test("a service that loops does not hold it up for longer than its time", async () => {
    await using solo = await startInProcess();
    const service_id = "loop";
    await solo.ask("Deploy", {
      service_id,
      code: LOOP,
      limits: { call_timeout_ms: 600_000 },
      restart_limits: { shutdown_timeout_ms: 300 },
    });
    const spin = solo.ask("Call", { service_id, name: "spin" }).then(
      () => "answered",
      () => "cut off",
    );
    await until(
      async () => (await solo.ask("Status", { service_id })).mailbox_length > 0,
      "it to be at work",
    );
    await solo.kernel.stop({ reason: "test", drainMs: 200 });
    expect(await spin).toBe("cut off");
  });
});

describe("asked to stop twice", () => {
  test.for([
    ["SIGINT", "SIGTERM", 143],
    ["SIGTERM", "SIGINT", 130],
  ] as const)("first %s, then %s: it exits with %i at once", async ([first, second, code]) => {
    await using kernel = await startKernel();
    await kernel.deploy({ service_id: "svc", code: SERVICE });
    const slow = kernel.call("svc", "slow", 25_000).catch(() => undefined);
    await atWork(kernel, "svc");
    kernel.signal(first);
    await stopping(kernel);
    kernel.signal(second);
    // An orderly end, after the call in flight, has the code 0.
    expect(await kernel.exited).toEqual({ code, signal: null });
    await slow;
  });
});

test("asked to stop while it starts, a kernel leaves nothing", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-early-"));
  const entry = fileURLToPath(new URL("../../bin/entry.js", import.meta.url));
  const child = spawn(process.execPath, [entry, "start", "--data-dir", dataDir, ...portFlags()], {
    cwd: dataDir,
    env: { PATH: process.env["PATH"], HOME: dataDir },
    stdio: "ignore",
  });
  try {
    const ended = new Promise((resolve) =>
      child.once("close", (code, signal) => resolve({ code, signal })),
    );
    const seen = new Map<number, ProcessRef>();
    await until(() => existsSync(join(dataDir, "owner-token")), "the start to be under way");
    for (const ref of descendants(child.pid!)) seen.set(ref.pid, ref);
    child.kill("SIGTERM");
    expect(await ended).toEqual({ code: 0, signal: null });
    await until(() => [...seen.values()].every((ref) => !isAlive(ref)), "its processes to be gone");
    expect(existsSync(join(dataDir, "kernel.json"))).toBe(false);
  } finally {
    child.kill("SIGKILL");
    rmSync(dataDir, { recursive: true, force: true });
  }
});
