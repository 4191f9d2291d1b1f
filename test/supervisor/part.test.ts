import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { part, task } from "#supervisor/part.ts";

describe("a task", () => {
  test("that returns by itself ends normally", async () => {
    expect(await task(async () => {}).exited).toEqual({ kind: "normal" });
  });
  test("that throws has crashed", async () => {
    const error = new Error("loop");
    const child = task(() => {
      throw error;
    });
    expect(await child.exited).toEqual({ kind: "crashed", error });
  });
  test("that is asked to stop ends with shutdown, also when the abort makes it throw", async () => {
    const child = task(
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("off"))),
        ),
    );
    await child.stop({ timeoutMs: 1000 });
    expect(await child.exited).toEqual({ kind: "shutdown" });
  });
  test("that is killed is gone for its supervisor, whatever it does", async () => {
    const child = task(() => new Promise(() => {}));
    child.kill();
    expect(await child.exited).toEqual({ kind: "killed" });
  });
});

describe("a part", () => {
  async function listen(): Promise<{ server: Server; failed: Promise<never> }> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const failed = new Promise<never>((_, reject) => server.once("error", reject));
    return { server, failed };
  }
  const close = (server: Server) => () =>
    new Promise<void>((resolve, reject) => server.close((e) => (e ? reject(e) : resolve())));

  test("runs until it is closed", async () => {
    const { server, failed } = await listen();
    const child = part({ close: close(server), failed });
    await Promise.all([child.stop({ timeoutMs: 1000 }), child.stop({ timeoutMs: 1000 })]);
    expect(await child.exited).toEqual({ kind: "shutdown" });
    expect(server.listening).toBe(false);
  });
  test("that fails is closed before it has crashed, so that its port is free", async () => {
    const { server, failed } = await listen();
    const child = part({ close: close(server), failed });
    const error = new Error("socket");
    server.emit("error", error);
    expect(await child.exited).toEqual({ kind: "crashed", error });
    expect(server.listening).toBe(false);
  });
  test("whose close fails has crashed", async () => {
    const error = new Error("flush");
    const child = part({ close: () => Promise.reject(error) });
    await child.stop({ timeoutMs: 1000 });
    expect(await child.exited).toEqual({ kind: "crashed", error });
  });
  test("that is killed does not wait for its close", async () => {
    const child = part({ close: () => new Promise(() => {}) });
    child.kill();
    expect(await child.exited).toEqual({ kind: "killed" });
  });
});
