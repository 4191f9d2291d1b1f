/**
 * Runs what a document tells its reader to type.
 *
 * 1. What a shell would do nothing to but split, `npx solo` and plain words, runs in the test's own
 *    process: a process for each line would take most of the time. Everything else, and every line
 *    where `processes` are asked for, is a shell's.
 */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { runCli } from "./run-cli.ts";
import type { Step } from "./sessions.ts";

/** The address that documents write; a test's kernel has another. */
const DOCUMENTED = "http://127.0.0.1:8080";

const BIN = fileURLToPath(new URL("../../bin/solo.js", import.meta.url));

/** A directory for the PATH whose `npx solo` is this checkout's, without npm's own second. */
export function shimDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "solo-shims-"));
  const npx = join(directory, "npx");
  writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${BIN}" "$@"\n`);
  chmodSync(npx, 0o755);
  return directory;
}

export interface ShellOptions {
  readonly cwd: string;
  readonly http: string;
  readonly env: Readonly<Record<string, string>>;
  /** A process for every line, as its reader has. */
  readonly processes?: boolean;
}

interface Result {
  readonly failed: boolean;
  /** Standard output, or the first line of what went wrong. */
  readonly printed: string;
}

function shell(command: string, { cwd, env }: ShellOptions): Promise<Result> {
  return new Promise((resolve) => {
    execFile("sh", ["-c", command], { cwd, env }, (error, stdout, stderr) => {
      resolve(resultOf(error !== null, stdout, stderr));
    });
  });
}

const SOLO = "npx solo ";
/** What means something to a shell, outside of single quotes and besides double ones. */
const FOR_A_SHELL = /[\\$`"'|&;<>(){}*?~#\n!]/;

/** The words after `npx solo`; undefined when only a shell knows them. */
export function wordsOf(command: string): string[] | undefined {
  if (!command.startsWith(SOLO)) return undefined;
  const words: string[] = [];
  const word = /\s*((?:'[^']*'|"[^"\\$`!]*"|[^\s'"])+)\s*/y;
  const rest = command.slice(SOLO.length);
  while (word.lastIndex < rest.length) {
    const raw = word.exec(rest)?.[1];
    if (raw === undefined) return undefined;
    const bare = raw.replaceAll(/'[^']*'|"[^"]*"/g, "");
    if (FOR_A_SHELL.test(bare)) return undefined;
    words.push(raw.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, one, two) => (one ?? two) as string));
  }
  return words;
}

const resultOf = (failed: boolean, stdout: string, stderr: string): Result => ({
  failed,
  printed: stdout === "" ? (stderr.split("\n")[0] ?? "") : stdout,
});

async function perform(command: string, options: ShellOptions): Promise<Result> {
  const words = options.processes === true ? undefined : wordsOf(command);
  if (words === undefined) return shell(command, options);
  const { code, stdout, stderr } = await runCli(words, { cwd: options.cwd, env: options.env });
  return resultOf(code !== 0, stdout, stderr);
}

/** Ids of capabilities as documents write them. */
const shortIds = (text: string): string => text.replaceAll(/\bc_[0-9a-f]{24}\b/g, "c_…");

const compact = (text: string): string => {
  try {
    return shortIds(JSON.stringify(JSON.parse(text)));
  } catch {
    return shortIds(text.trim());
  }
};

/** Runs a step and compares what it prints with what the document says it prints. */
export async function runStep({ command, output }: Step, options: ShellOptions): Promise<void> {
  const { failed, printed } = await perform(command.replaceAll(DOCUMENTED, options.http), options);
  const expected = output ?? expect.any(String);
  expect({ command, printed: compact(printed) }).toEqual({ command, printed: expected });
  expect({ command, printed, failed }).toEqual({
    command,
    printed,
    failed: output?.startsWith("error") ?? false,
  });
}
