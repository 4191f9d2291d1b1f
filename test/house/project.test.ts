import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { missingEntries, type Lock } from "../../scripts/complete-lock.ts";
import { secondChance } from "../../scripts/second-chance.ts";

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

const report = (passed: number, failed: number, files: Record<string, readonly string[]>) => ({
  numPassedTests: passed,
  numFailedTests: failed,
  testResults: Object.entries(files).map(([name, statuses]) => ({
    name,
    status: statuses.length === 0 || statuses.includes("failed") ? "failed" : "passed",
    assertionResults: statuses.map((status) => ({ status })),
  })),
});

test.each([
  ["3 passed, 0 failed", [report(3, 0, {})]],
  ["3 passed, 2 failed", [report(3, 1, { a: ["failed"], broken: [] })]],
  ["0 passed, 1 failed", [undefined]],
  [
    "9 passed, 0 failed, 2 needed a second run",
    [
      report(5, 2, { a: ["passed", "failed", "failed"], b: [], c: ["passed"] }),
      report(5, 0, { a: ["passed", "passed", "passed"], b: ["passed", "passed"] }),
    ],
  ],
  [
    "6 passed, 2 failed, 2 needed a second run",
    [
      report(5, 1, { a: ["passed", "failed"], b: [] }),
      report(2, 1, { a: ["passed", "passed", "failed"], b: [] }),
    ],
  ],
  ["5 passed, 1 failed", [report(5, 1, { a: ["failed"] }), undefined]],
])("the totals of a run are one plain line: %s", (line, reports) => {
  const dir = mkdtempSync(join(tmpdir(), "solo-totals-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const files = reports.map((each, at) => {
    const file = join(dir, `${at}.json`);
    writeFileSync(file, each === undefined ? "" : JSON.stringify(each));
    return file;
  });
  const script = path("scripts/totals.js").pathname;
  expect(spawnSync(process.execPath, [script, ...files], { encoding: "utf8" }).stdout).toBe(
    `${line}\n`,
  );
});

describe("a second run in CI", () => {
  const real = ["test/e2e/pages.test.ts", "test/faults/disk.test.ts"];

  test("is for few files that run real processes, and for all that failed", () => {
    expect(secondChance(real, 0)).toEqual(real);
    expect(secondChance([], 0)).toEqual([]);
    expect(secondChance([...real, "test/supervisor/backoff.test.ts"], 0)).toEqual([]);
    expect(secondChance(Array<string>(6).fill(real[0]!), 0)).toEqual([]);
    expect(secondChance(real, 1)).toEqual([]);
  });

  test("is asked for by the runner itself", () => {
    const dir = mkdtempSync(join(tmpdir(), "solo-second-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    mkdirSync(join(dir, "test/e2e"), { recursive: true });
    const source = (value: boolean) =>
      `import { expect, test } from "vitest"; test("says why", () => expect(${value}).toBe(true));`;
    writeFileSync(join(dir, "test/e2e/bad.test.js"), source(false));
    writeFileSync(join(dir, "test/e2e/good.test.js"), source(true));
    symlinkSync(path("node_modules").pathname, join(dir, "node_modules"));
    const runner = join(path("node_modules").pathname, "vitest/vitest.mjs");
    const args = [
      runner,
      "run",
      "--root",
      dir,
      "--reporter",
      path("scripts/second-chance.ts").pathname,
    ];
    const again = join(dir, "again");
    const { stdout, status } = spawnSync(process.execPath, args, {
      encoding: "utf8",
      env: { ...process.env, SECOND_CHANCE: again },
    });
    expect(status).toBe(1);
    expect(stdout).toMatch(/!!! test\/e2e\/bad.test.js\n!!!   says why: .*expected false/);
    expect(readFileSync(again, "utf8")).toBe("test/e2e/bad.test.js\n");
  });
});
