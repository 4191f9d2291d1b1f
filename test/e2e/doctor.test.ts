/** `solo doctor` as a person runs it. The attacks that it can add are in test/soak. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { prepareCellPrograms, probeCells } from "#bin/cell-host.ts";
import { doctorReport } from "#sandbox/doctor.ts";
import { finishCli } from "../support/run-cli.ts";

const ENTRY = fileURLToPath(new URL("../../bin/entry.js", import.meta.url));

/** In an empty directory, where no kernel runs. */
async function solo(...args: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), "solo-doctor-test-"));
  try {
    const child = spawn(process.execPath, [ENTRY, ...args], { cwd, env: {}, stdio: "pipe" });
    child.stdin.end();
    return await finishCli(child);
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

test("without a kernel it says which walls stand, and its exit code whether the essential ones do", async () => {
  const expected = doctorReport(await probeCells(process.execPath, await prepareCellPrograms()));
  const { code, stdout, stderr } = await solo("doctor");
  expect(stderr).toBe("");
  expect(stdout).toContain(`Tier: ${expected.tier}.`);
  for (const { name } of expected.walls) expect(stdout).toContain(name);
  expect(code).toBe(expected.ok ? 0 : 1);
});

test("with --json it prints the report and nothing else", async () => {
  const expected = doctorReport(await probeCells(process.execPath, await prepareCellPrograms()));
  const { stdout } = await solo("doctor", "--json");
  const names = (report: { walls: readonly { name: string; active: boolean }[] }) =>
    report.walls.map(({ name, active }) => `${name} ${active}`);
  const report = JSON.parse(stdout) as typeof expected;
  expect(names(report)).toEqual(names(expected));
  expect(report).toMatchObject({ tier: expected.tier, ok: expected.ok });
});
