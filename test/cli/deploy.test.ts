import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeKernel, json } from "../support/fake-http.ts";
import { runCli } from "../support/run-cli.ts";

const DEPLOYED = {
  tenant_id: "default",
  service_id: "counter",
  revision: "r_1",
  state: "running",
  instance_id: "i_1",
  started_in_ms: 3.21,
};

let kernel: FakeKernel;
let cwd: string;

beforeEach(async () => {
  kernel = await FakeKernel.start();
  kernel.on("POST /services", json(DEPLOYED, 201)).on("PUT /services/counter", json(DEPLOYED));
  cwd = await mkdtemp(join(tmpdir(), "solo-source-"));
});

afterEach(async () => {
  await kernel[Symbol.asyncDispose]();
  await rm(cwd, { recursive: true, force: true });
});

const solo = (args: readonly string[], more: object = {}) =>
  runCli(args, { dataDir: kernel.dataDir, cwd, ...more });

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(cwd, name, ".."), { recursive: true });
    await writeFile(join(cwd, name), text);
  }
}

describe("solo deploy", () => {
  test("sends a file under its own name", async () => {
    await write({ "counter.ts": "export default {}" });
    expect(await solo(["deploy", "counter.ts"])).toEqual({
      code: 0,
      stdout: "counter is running after 3.2 ms\n  revision     r_1\n  instance id  i_1\n",
      stderr: "",
    });
    expect(kernel.last?.body).toEqual({
      service_id: "counter",
      code: "export default {}",
      format: "typescript_source",
    });
  });

  test("says on a terminal what it does, and never on standard output", async () => {
    await write({ "counter.js": "export default {}" });
    const env = { TEST_TTY: "1", NO_COLOR: "1" };
    const { stderr } = await solo(["deploy", "counter.js"], { env });
    expect(stderr).toContain("deploying counter (counter.js, 17 bytes)");
    expect((await solo(["deploy", "counter.js", "--json"], { env })).stderr).toBe("");
  });

  test("sends a directory without what is no source", async () => {
    await write({
      "shop/index.ts": "i",
      "shop/lib/util.js": "u",
      "shop/data.json": "{}",
      "shop/types.d.ts": "no",
      "shop/tsconfig.json": "no",
      "shop/package-lock.json": "no",
      "shop/README.md": "no",
      "shop/.env": "no",
      "shop/.git/hook.js": "no",
      "shop/node_modules/a/index.js": "no",
      "outside.ts": "no",
    });
    await symlink(join(cwd, "outside.ts"), join(cwd, "shop", "link.ts"));
    expect((await solo(["deploy", "shop/"])).code).toBe(0);
    expect(kernel.last?.body).toEqual({
      service_id: "shop",
      files: { "index.ts": "i", "lib/util.js": "u", "data.json": "{}" },
      entry: "index.ts",
      format: "typescript_source",
    });
  });

  test("takes the only source file of a directory for its entry, or the one named", async () => {
    await write({ "a/only.mjs": "x", "b/one.ts": "1", "b/two.ts": "2" });
    await solo(["deploy", "a"]);
    expect(kernel.last?.body).toMatchObject({ entry: "only.mjs", format: "javascript_source" });
    await solo(["deploy", "b", "--entry", "two.ts"]);
    expect(kernel.last?.body).toMatchObject({ entry: "two.ts" });
    expect(await solo(["deploy", "b"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--entry/),
    });
  });

  test("names a service after the directory of an index.ts", async () => {
    await write({ "greeter/index.ts": "x" });
    await solo(["deploy", "greeter/index.ts"]);
    expect(kernel.last?.body).toMatchObject({ service_id: "greeter", code: "x" });
  });

  test("reads standard input, which has no name of its own", async () => {
    const result = await solo(["deploy", "-", "--id", "counter"], { stdin: "export default 1" });
    expect(result.code).toBe(0);
    expect(kernel.last?.body).toEqual({ service_id: "counter", code: "export default 1" });
    expect(await solo(["deploy", "-"], { stdin: "x" })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--id/),
    });
  });

  test("turns every option into its field", async () => {
    await write({ "counter.ts": "x" });
    const options =
      "--id c2 --restart transient --persistence durable --isolation dedicated --ingress public " +
      "--memory-mb 64 --call-timeout-ms 100 --mailbox 5 --env A=1 --env B=x=y --metadata team=core";
    await solo(["deploy", "counter.ts", ...options.split(" "), "--arg", '{"start":7}']);
    expect(kernel.last?.body).toEqual({
      service_id: "c2",
      code: "x",
      format: "typescript_source",
      restart: "transient",
      persistence: "durable",
      isolation: "dedicated",
      ingress: "public",
      limits: { memory_mb: 64, call_timeout_ms: 100, mailbox: 5 },
      env: { A: "1", B: "x=y" },
      metadata: { team: "core" },
      args: { start: 7 },
    });
  });

  test("takes a request from a file and lets options override it", async () => {
    const spec = {
      service_id: "counter",
      code: "x",
      restart: "temporary",
      limits: { memory_mb: 16, mailbox: 9 },
      env: { A: "1" },
    };
    await write({ "spec.json": JSON.stringify(spec) });
    await solo(["deploy", "--spec", "spec.json", "--memory-mb", "32", "--env", "B=2"]);
    expect(kernel.last?.body).toEqual({
      ...spec,
      limits: { memory_mb: 32, mailbox: 9 },
      env: { A: "1", B: "2" },
    });
  });

  test.each([
    [["deploy"], "There is no source"],
    [["deploy", "missing.ts"], "is not there"],
    [["deploy", "notes.txt"], "not a source file"],
    [["deploy", "empty"], "holds no .ts"],
    [["deploy", "binary.ts"], "not UTF-8"],
    [["deploy", "we ird.ts"], "no name"],
    [["deploy", "ok.ts", "--memory-mb", "many"], "whole number"],
    [["deploy", "ok.ts", "--env", "=x"], "KEY=VALUE"],
    [["deploy", "ok.ts", "--restart", "always"], "Allowed choices"],
    [["deploy", "ok.ts", "--spec", "notes.txt"], "not valid JSON"],
    [["deploy", "ok.ts", "--spec", "list.json"], "JSON object"],
  ])("%j is a mistake in the command line", async (args, says) => {
    await write({
      "notes.txt": "n",
      "empty/.keep": "",
      "we ird.ts": "x",
      "ok.ts": "x",
      "list.json": "[]",
    });
    await writeFile(join(cwd, "binary.ts"), Buffer.from([0xff, 0xfe, 0x00]));
    const result = await solo(args);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(says);
    expect(kernel.requests).toEqual([]);
  });

  test("does not read more than a service can be", async () => {
    const many = Array.from({ length: 2_001 }, (_, at) => [`big/f${at}.ts`, ""] as const);
    await write(Object.fromEntries(many));
    const result = await solo(["deploy", "big", "--entry", "f0.ts"]);
    expect(result).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/larger than 2000 files/),
    });
  });
});

test("solo update of a service that is named may go without a source", async () => {
  expect(await solo(["update", "--id", "counter", "--instances", "3", "--json"])).toMatchObject({
    code: 0,
  });
  expect(kernel.last?.body).toEqual({ instances: 3 });
  const { code, stderr } = await solo(["update", "--instances", "3"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("with --id alone only settings")]);
});

test("solo update puts the source in the place of the old one", async () => {
  await write({ "counter.ts": "new" });
  expect(await solo(["update", "counter.ts", "--json"])).toMatchObject({ code: 0 });
  expect(kernel.last).toMatchObject({
    route: "PUT /services/counter",
    body: { code: "new", format: "typescript_source" },
  });
});

describe("solo validate", () => {
  const finding = {
    code: "syntax",
    severity: "error",
    message: "Unexpected token",
    file: "counter.ts",
    line: 2,
    column: 5,
    excerpt: "let = 1;",
    explanation: "A name is missing.",
    fix: "Name it.",
  };

  test("exits 0 when a deploy would be accepted", async () => {
    await write({ "counter.ts": "x" });
    kernel.on("POST /validate", json({ ok: true, revision: "r_9", findings: [], problems: [] }));
    expect(await solo(["validate", "counter.ts"])).toEqual({
      code: 0,
      stdout: "ok: a deploy would be accepted as r_9\n",
      stderr: "",
    });
  });

  test("shows the findings in the source and exits 1 when it would be refused", async () => {
    await write({ "counter.ts": "x" });
    const answer = { ok: false, findings: [finding], problems: ["limits.memory_mb is too small"] };
    kernel.on("POST /validate", json(answer));
    expect(await solo(["validate", "counter.ts"])).toEqual({
      code: 1,
      stdout: `counter.ts:2:5 error[syntax]: Unexpected token
  2 | let = 1;
    |     ^
  A name is missing.
  fix: Name it.
problem: limits.memory_mb is too small
not ok: a deploy would be refused
`,
      stderr: "",
    });
    const result = await solo(["validate", "counter.ts", "--json"]);
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout)).toEqual(answer);
  });
});
