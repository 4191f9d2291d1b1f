import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import type { Operation } from "#api/operation.ts";
import { commands } from "#cli/commands.ts";
import { EXIT } from "#base/errors.ts";
import { runCli } from "../support/run-cli.ts";

const hinted = Object.values<Operation>(catalogue).flatMap(
  ({ cli }) => cli?.command.split(" ")[0] ?? [],
);

describe("the help", () => {
  test("lists every operation that has a command", async () => {
    const { code, stdout } = await runCli(["--help"]);
    expect(code).toBe(0);
    expect(stdout.match(/^ {2}\S+/gm)?.map((word) => word.trim())).toEqual(
      expect.arrayContaining(hinted),
    );
  });

  test("of a command shows its arguments, options, the global ones and examples", async () => {
    const { code, stdout, stderr } = await runCli(["kill", "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Usage: solo kill [options] <service_id>");
    expect(stdout).toContain("--force");
    expect(stdout).toContain("--json");
    expect(stdout).toContain("Examples:\n  solo kill counter");
    expect((await runCli(["help", "kill"])).stdout).toBe(stdout);
  });

  test("has the version beside it", async () => {
    expect(await runCli(["--version"])).toEqual({ code: 0, stdout: "9.9.9\n", stderr: "" });
  });
});

describe("docs/cli.md", () => {
  const page = readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");

  test.each(commands.map(({ name }) => name))("explains solo %s", async (name) => {
    expect(await page).toContain(`\`solo ${name}`);
  });

  const deploying = commands.filter(({ name }) => ["deploy", "update", "validate"].includes(name));

  test.each(deploying.map((command) => [command.name, command] as const))(
    "has every option of solo %s",
    async (_, { options = [] }) => {
      const text = await page;
      const flags = options.map(({ long }) => long ?? "");
      expect(flags).toContain("--limit");
      expect(flags.filter((flag) => !text.includes(`\`${flag}`))).toEqual([]);
    },
  );

  test("has every exit code", async () => {
    for (const code of Object.values(EXIT))
      expect(await page).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
  });
});
