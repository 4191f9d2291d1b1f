import { describe, expect, it } from "vitest";
import { finishCli, runCli, startCli } from "../support/run-cli.ts";

const hello = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  },
};

describe("solo mcp", () => {
  it("ends with its input", async () => {
    const { code, stdout } = await runCli(["mcp"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  });

  it("writes messages to standard output and nothing else, whatever it is sent", async () => {
    const child = startCli(["mcp"]);
    child.stdout.once("data", () => child.stdin.end());
    child.stdin.write(`no message\n{"jsonrpc":"2.0"}\n${JSON.stringify(hello)}\n`);
    const { code, stdout, stderr } = await finishCli(child);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ id: 1, result: { protocolVersion: "2025-06-18" } });
    expect(stderr).toMatch(/^solo mcp: /);
  });

  it("refuses a message without end, and says why on standard error", async () => {
    const child = startCli(["mcp"]);
    // It does not read to the end.
    child.stdin.on("error", () => {});
    child.stdin.write("x".repeat(8 * 1024 * 1024 + 1));
    const { code, stdout, stderr } = await finishCli(child);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("payload_too_large");
  });

  it("ends in order when it is told to", async () => {
    const child = startCli(["mcp"]);
    child.stdout.once("data", () => child.kill("SIGINT"));
    child.stdin.write(`${JSON.stringify(hello)}\n`);
    expect((await finishCli(child)).code).toBe(0);
  });
});
