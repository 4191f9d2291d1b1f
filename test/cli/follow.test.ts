import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { EVENT, FakeKernel, json, openSse, sse } from "../support/fake-http.ts";
import { finishCli, runCli, startCli } from "../support/run-cli.ts";

const EVENT_LINE =
  '     1  2026-01-01T00:00:00.000Z  default/counter       service_started  {"n":1}\n';
const line = (seq: number, text = `line ${seq}`) =>
  `${JSON.stringify({ seq, at: "2026-01-01T00:00:00Z", level: "warn", text, instance_id: "i" })}\n`;

describe("solo events", () => {
  test("shows the newest, oldest first", async () => {
    await using kernel = await FakeKernel.start();
    const events = [
      { id: 1, ...EVENT },
      { id: 0, ...EVENT, tenant_id: null, subject: null },
    ];
    kernel.on("GET /events", json({ events, last_id: 1 }));
    const result = await runCli(["events", "--limit", "2"], kernel);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout.split("\n")[0]).toContain("system");
    expect(result.stdout).toContain(EVENT_LINE);
    expect(kernel.last?.query).toEqual({ limit: "2", newest_first: "true" });
  });

  test("goes forward from where it is told to begin", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /events", json({ events: [], last_id: 9 }));
    const result = await runCli(["events", "--since-id", "5", "--json"], kernel);
    expect(result).toMatchObject({ code: 0, stdout: '{"events":[],"last_id":9}\n' });
    expect(kernel.last?.query).toEqual({ since_id: "5" });
  });
});

describe("solo events -f", () => {
  test("shows what comes until it is interrupted, and ends well", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /events", (_request, response) => openSse(response).write(sse(1)));
    const child = startCli(["events", "-f", "--since-id", "0", "--service-id", "counter"], kernel);
    const finished = finishCli(child);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await finished).toEqual({ code: 0, stdout: EVENT_LINE, stderr: "" });
    expect(kernel.last?.query).toEqual({ since_id: "0", service_id: "counter" });
  });

  test("survives a kernel that goes and comes back", async () => {
    await using kernel = await FakeKernel.start();
    let connections = 0;
    kernel.on("GET /events", (_request, response) => {
      connections += 1;
      openSse(response).write(sse(connections), () => {
        if (connections === 1) kernel.cut();
      });
    });
    const child = startCli(["events", "-f", "--since-id", "0", "--json"], kernel);
    const finished = finishCli(child);
    let seen = "";
    for await (const chunk of child.stdout) {
      seen += String(chunk);
      if (seen.split("\n").length > 2) break;
    }
    child.kill("SIGINT");
    expect(await finished).toMatchObject({ code: 0, stderr: "" });
    const ids = seen
      .trim()
      .split("\n")
      .map((text) => (JSON.parse(text) as { id: number }).id);
    expect(ids).toEqual([1, 2]);
  });

  test("ends quietly when nobody reads any more", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /events", (_request, response) => {
      const body = openSse(response);
      let id = 0;
      const more = () => {
        while (!body.destroyed && body.write(sse((id += 1))));
        if (!body.destroyed) body.once("drain", more);
      };
      more();
    });
    const child = startCli(["events", "-f", "--since-id", "0"], kernel);
    const exited = once(child, "exit");
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += String(chunk)));
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect(await exited).toEqual([0, null]);
    expect(stderr).toBe("");
  });
});

describe("solo logs", () => {
  test("shows what there is and ends", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a/logs", (_request, response) => response.end(line(1, "one\ntwo")));
    const result = await runCli(["logs", "a", "--limit", "5"], kernel);
    expect(result).toEqual({
      code: 0,
      stdout: "2026-01-01T00:00:00Z  warn   one\n    two\n",
      stderr: "",
    });
    expect(kernel.last?.query).toEqual({ follow: "false", limit: "5" });
  });

  test("follows until it is interrupted", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a/logs", (_request, response) => response.write(line(1)));
    const child = startCli(["logs", "a", "-f", "--json"], kernel);
    const finished = finishCli(child);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await finished).toEqual({ code: 0, stdout: line(1), stderr: "" });
    expect(kernel.last?.query).toEqual({ follow: "true" });
  });
});
