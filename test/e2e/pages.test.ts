/** The guides keep their word: their services compile and run, their tables are complete. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { catalogue } from "#api/catalogue.ts";
import { startKernel, type TestKernel } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep, shimDirectory } from "../support/shell.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const pageOf = (name: string) => readFileSync(join(ROOT, "docs", name), "utf8");

describe("services.md, vault.md and upgrades.md", () => {
  const page = pageOf("services.md");
  const directory = mkdtempSync(join(tmpdir(), "solo-pages-"));
  const shims = shimDirectory();
  let kernel: TestKernel;
  beforeAll(async () => {
    for (const [, name, source] of `${page}\n${pageOf("upgrades.md")}`.matchAll(
      /^```ts\n\/\/ (\S+)\n(.*?)^```/gms,
    )) {
      writeFileSync(join(directory, name!), source!);
    }
    kernel = await startKernel();
  });
  afterAll(async () => {
    await kernel[Symbol.asyncDispose]();
    for (const path of [directory, shims]) rmSync(path, { recursive: true, force: true });
  });

  test.each(["services.md", "vault.md", "upgrades.md"])(
    "the sessions of %s print what it says",
    async (name) => {
      const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: kernel.dataDir };
      for (const step of stepsOfPage(pageOf(name)))
        await runStep(step, { cwd: directory, http: kernel.http, env });
    },
  );

  test("its services pass a strict type check against the package, as an author would run it", async () => {
    mkdirSync(join(directory, "node_modules"), { recursive: true });
    symlinkSync(ROOT, join(directory, "node_modules/solo"));
    symlinkSync(join(ROOT, "node_modules/@types"), join(directory, "node_modules/@types"));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      module: "nodenext",
      target: "es2025",
      types: ["node"],
      allowImportingTsExtensions: true,
    };
    writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ compilerOptions, include: ["*.ts"] }),
    );
    const findings = await promisify(execFile)(join(ROOT, "node_modules/.bin/tsc"), [
      "-p",
      directory,
    ]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    expect(findings).toBe("");
  });
});

describe("api.md", () => {
  test("has a row for every operation, with its place on every way in", () => {
    const page = pageOf("api.md");
    const rows = [...page.matchAll(/^\| `(\w+) (\S+?)`.* \| `(\w+)` \| `solo (\S+?)/gm)].map(
      ([, method, path, name]) => [name, `${method} ${path}`],
    );
    const places = Object.entries(catalogue).map(([name, { http }]) => [
      name,
      `${http.method} ${http.path.replace("{service_id}", "{id}")}`,
    ]);
    expect(new Set(rows.map(String))).toEqual(new Set(places.map(String)));
  });
});
