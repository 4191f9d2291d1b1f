import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeKernel, TOKEN, json } from "../support/fake-http.ts";
import { runCli } from "../support/run-cli.ts";

let cwd: string;
beforeEach(async () => void (cwd = await mkdtemp(join(tmpdir(), "solo-cwd-"))));
afterEach(() => rm(cwd, { recursive: true, force: true }));

describe("solo start", () => {
  test("hands its flags to the kernel and ends with the kernel's code", async () => {
    const args =
      "start --http-port 0 --listen-port 1 --metrics-port 2 --host ::1 --log-level debug";
    const result = await runCli([...args.split(" "), "--data-dir", "d", "--config", "c.toml"]);
    expect(result.code).toBe(3);
    expect(JSON.parse(result.stdout)).toEqual({
      config: "c.toml",
      "data-dir": "d",
      "http-port": 0,
      "listen-port": 1,
      "metrics-port": 2,
      host: "::1",
      "log-level": "debug",
    });
  });
});

describe("solo token", () => {
  test("prints the owner's token", async () => {
    await using kernel = await FakeKernel.start();
    expect(await runCli(["token"], kernel)).toEqual({ code: 0, stdout: `${TOKEN}\n`, stderr: "" });
    expect((await runCli(["token", "--json"], kernel)).stdout).toBe(`{"token":"${TOKEN}"}\n`);
  });

  test("says when there is none yet", async () => {
    expect(await runCli(["token"], { cwd })).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/first `solo start`/),
    });
  });
});

describe("solo config check", () => {
  test("shows every value and where it comes from", async () => {
    await writeFile(join(cwd, "config.toml"), "[solo]\nhttp_port = 1234\n");
    const env = { SOLO_LOG_LEVEL: "debug" };
    const human = await runCli(["config", "check"], { cwd, env });
    expect(human).toMatchObject({ code: 0, stderr: "" });
    expect(human.stdout).toMatch(/solo\.http_port +1234 +config\.toml:2:13/);
    expect(human.stdout).toMatch(/solo\.log_level +"debug" +environment variable SOLO_LOG_LEVEL/);
    const { stdout } = await runCli(["config", "check", "--json"], { cwd, env });
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      file: "config.toml",
      config: { solo: { http_port: 1234 } },
      sources: { "solo.http_port": "config.toml:2:13", "solo.host": "default" },
    });
  });

  test("names every wrong value and exits 2", async () => {
    await writeFile(join(cwd, "bad.toml"), '[solo]\nhttp_port = "x"\nlog_levle = "info"\n');
    const result = await runCli(["config", "check", "--config", "bad.toml"], { cwd });
    expect(result).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^error\[config_invalid\]/),
    });
    expect(result.stderr).toContain("bad.toml:2:13");
    expect(result.stderr).toContain("log_level");
  });
});

test("a configuration file says where the data directory is", async () => {
  await using kernel = await FakeKernel.start();
  kernel.on("GET /services", json({ services: [] }));
  const toml = `[solo]\ndata_dir = ${JSON.stringify(kernel.dataDir)}\n`;
  await writeFile(join(cwd, "config.toml"), toml);
  expect(await runCli(["list"], { cwd })).toMatchObject({ code: 0, stdout: "none\n" });
});
