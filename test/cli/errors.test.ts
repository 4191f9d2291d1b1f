import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode } from "#base/errors.ts";
import { FakeKernel, closedUrl, problem } from "../support/fake-http.ts";
import { runCli } from "../support/run-cli.ts";

const CODES: readonly [ErrorCode, number][] = [
  ["invalid_argument", 1],
  ["service_not_found", 4],
  ["permission_denied", 5],
  ["shutting_down", 6],
  ["mailbox_full", 7],
];

describe("an error of the kernel", () => {
  test.each(CODES)("%s ends the command with %i", async (code, exit) => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a", problem(code));
    const result = await runCli(["status", "a"], kernel);
    expect(exit).toBe(ERRORS[code].exit);
    expect(result).toEqual({ code: exit, stdout: "", stderr: `error[${code}]: It is ${code}.\n` });
  });

  test("shows its fields, its place in the source, its stack and what to do", async () => {
    await using kernel = await FakeKernel.start();
    const more = {
      hint: "Fix the source.",
      errors: [{ field: "limits.memory_mb", message: "must be at least 8" }],
      diagnostics: [
        {
          code: "syntax",
          severity: "error",
          message: "Unexpected token",
          file: "index.ts",
          line: 12,
          column: 3,
          excerpt: "11 | let a;\n12 | \tlet;\n   | \t ^",
          explanation: "",
        },
      ],
      service_code: "E_MINE",
      stack: "Error\n    at index.ts:12:3",
    };
    kernel.on("GET /services/a", problem("compile_failed", more));
    const { stderr } = await runCli(["status", "a"], kernel);
    expect(stderr).toBe(`error[compile_failed]: It is compile_failed.
  code: E_MINE
  limits.memory_mb: must be at least 8
  index.ts:12:3 error[syntax]: Unexpected token
    11 | let a;
    12 | \tlet;
       | \t ^
  Error
      at index.ts:12:3
hint: Fix the source.
`);
  });

  test("is one JSON document with --json", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services/a", problem("service_not_found", { hint: "Look at the list." }));
    const result = await runCli(["status", "a", "--json"], kernel);
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(JSON.parse(result.stderr)).toEqual({
      code: "service_not_found",
      detail: "It is service_not_found.",
      hint: "Look at the list.",
    });
  });
});

describe("without a kernel", () => {
  test("the exit code is 6 and the hint says how to start one", async () => {
    await using kernel = await FakeKernel.start();
    const empty = await runCli(["list"], { dataDir: join(kernel.dataDir, "none") });
    expect(empty).toMatchObject({
      code: 6,
      stdout: "",
      stderr: expect.stringMatching(/hint: .*solo start/),
    });
    const gone = await runCli(["list", "--url", await closedUrl()], kernel);
    expect(gone).toMatchObject({ code: 6, stderr: expect.stringMatching(/ECONNREFUSED/) });
  });

  test("a wrong token is exit code 5", async () => {
    await using kernel = await FakeKernel.start();
    const env = { SOLO_TOKEN: "wrong", SOLO_URL: kernel.url };
    expect(await runCli(["list"], { env })).toMatchObject({ code: 5 });
    await writeFile(join(kernel.dataDir, "t"), "wrong-too");
    const args = ["list", "--token-file", join(kernel.dataDir, "t")];
    expect(await runCli(args, kernel)).toMatchObject({ code: 5 });
  });

  test("a kernel that does not answer in time is an error", async () => {
    await using kernel = await FakeKernel.start();
    kernel.on("GET /services", () => {});
    const result = await runCli(["list", "--timeout", "50ms"], kernel);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringMatching(/deadline_exceeded/) });
  });
});

describe("a mistake in the command line", () => {
  test.each([
    [["statsu"], "Did you mean status?"],
    [["list", "--limt", "1"], "Did you mean --limit?"],
    [["status"], "Missing required argument"],
    [["status", "a", "b"], "Too many arguments"],
    [["list", "--limit", "ten"], "whole number"],
    [["list", "--timeout", "soon"], "duration"],
    [["call", "a", "b", "{oops"], "not valid JSON"],
    [["call", "a", "b", "--args-json", "{}"], "JSON array"],
    [["call", "a", "b", "1", "--args-json", "[]"], "not both"],
    [["events", "-f", "--limit", "3"], "does not go with --follow"],
    [["start", "--http-port", "70000"], "0 to 65535"],
    [["config"], "not complete"],
    [["status", ".."], "cannot be"],
    [["list", "--url", "nonsense"], "not the address"],
  ])("%j is refused with a hint and exit code 2 or 1", async (args, says) => {
    await using kernel = await FakeKernel.start();
    const result = await runCli(args, kernel);
    expect(result.stdout).toBe("");
    expect(result.stderr).toContain(says);
    expect(result.stderr).toMatch(/^error\[invalid_argument\]: /);
    expect(kernel.requests).toEqual([]);
  });

  test("is exit code 2, and JSON with --json", async () => {
    const result = await runCli(["list", "--nonsense", "--json"]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(JSON.parse(result.stderr)).toMatchObject({ code: "invalid_argument" });
  });

  test("is also to say nothing: the help comes on standard error", async () => {
    const result = await runCli([]);
    expect(result).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/Usage: solo/),
    });
  });
});
