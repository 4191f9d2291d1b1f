import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { missingEntries, type Lock } from "../../scripts/complete-lock.ts";

const path = (name: string) => new URL(`../../${name}`, import.meta.url);
const read = (name: string) => readFileSync(path(name), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  scripts: Record<string, string>;
  bin: Record<string, string>;
};

test("every npm command of the README exists", () => {
  const builtIn = ["install", "start", "test", "ci"];
  const commands = [...read("README.md").matchAll(/(?<=^|`)npm (run )?([a-z][a-z:]*)/gm)];
  expect(commands.map(([text]) => text)).toEqual(
    expect.arrayContaining(["npm install", "npm start"]),
  );
  for (const [text, run, name = ""] of commands) {
    const known = Object.hasOwn(manifest.scripts, name) || (!run && builtIn.includes(name));
    expect(known, text).toBe(true);
  }
});

test("every file that the README links to exists", () => {
  for (const [, target = ""] of read("README.md").matchAll(/\]\(([^)#:]+)\)/g)) {
    expect(() => readFileSync(path(target)), target).not.toThrow(/ENOENT/);
  }
});

test("the lock names the builds of every platform, so npm ci works everywhere", () => {
  expect(missingEntries(JSON.parse(read("package-lock.json")) as Lock)).toEqual({});
});

test("what npm leaves out of a lock is written from the name of the package", () => {
  const lock = {
    packages: {
      "node_modules/oxc": {
        dev: true,
        optionalDependencies: { "@oxc/binding-linux-arm-musleabihf": "1.2.3" },
      },
    },
  };
  expect(missingEntries(lock)).toEqual({
    "node_modules/@oxc/binding-linux-arm-musleabihf": {
      version: "1.2.3",
      cpu: ["arm"],
      dev: true,
      libc: ["musl"],
      optional: true,
      os: ["linux"],
    },
  });
});

test.each([
  [{ numPassedTests: 3, numFailedTests: 0, testResults: [] }, "3 passed, 0 failed"],
  [
    {
      numPassedTests: 3,
      numFailedTests: 1,
      testResults: [
        { status: "failed", assertionResults: [{ status: "failed" }] },
        { status: "failed", assertionResults: [] },
      ],
    },
    "3 passed, 2 failed",
  ],
  [undefined, "0 passed, 1 failed"],
])("the totals of a run are one plain line", (report, line) => {
  const dir = mkdtempSync(join(tmpdir(), "solo-totals-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "report.json");
  writeFileSync(file, report === undefined ? "" : JSON.stringify(report));
  const script = path("scripts/totals.js").pathname;
  expect(spawnSync(process.execPath, [script, file], { encoding: "utf8" }).stdout).toBe(
    `${line}\n`,
  );
});
