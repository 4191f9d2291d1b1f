import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "solo-launcher-"));
afterAll(() => rmSync(dir, { recursive: true }));

const launcher = new URL("../../bin/launch.js", import.meta.url).href;

/** A program that launches `source`, as a Node of `version` would. */
function program(version: string, source: string): string {
  const name = Math.random().toString(36).slice(2);
  const entry = join(dir, `${name}.ts`);
  writeFileSync(entry, source);
  const main = join(dir, `${name}.mjs`);
  const options = `{ entry: new URL("file://${entry}"), version: "${version}" }`;
  writeFileSync(main, `import { launch } from "${launcher}";\nawait launch(${options});\n`);
  return main;
}

function run(main: string, args: readonly string[] = []): ChildProcess {
  return spawn(process.execPath, [main, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

/** Waits until the child has printed `wanted`, and gives everything printed so far. */
function printer(child: ChildProcess): (wanted: string) => Promise<string> {
  let output = "";
  return async (wanted) => {
    while (!output.includes(wanted)) {
      const [chunk] = (await once(child.stdout!, "data")) as [Buffer];
      output += chunk.toString();
    }
    return output;
  };
}

const exitOf = async (child: ChildProcess) => {
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return { code, signal };
};

const ECHO = `
  const words: string[] = process.argv.slice(2);
  for await (const chunk of process.stdin) words.push(String(chunk));
  console.log(JSON.stringify({ words, node: process.version }));
  process.exitCode = 42;
`;

test.each(["v20.20.2", "v24.14.9", process.version])(
  "under Node %s the entry gets its arguments and streams, and gives its exit code",
  async (version) => {
    const child = run(program(version, ECHO), ["deploy", "--id", "a b"]);
    child.stdin!.end("piped");
    const [{ code }, output] = await Promise.all([exitOf(child), text(child.stdout!)]);
    const { words, node } = JSON.parse(output) as { words: string[]; node: string };
    expect(words).toEqual(["deploy", "--id", "a b", "piped"]);
    expect(Number(/^v(\d+)/.exec(node)?.[1])).toBeGreaterThanOrEqual(24);
    expect(code).toBe(42);
  },
);

const COUNT_SIGNALS = `
  let seen = 0;
  const alive = setInterval(() => {}, 1000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      console.log(signal, ++seen);
      if (signal !== "SIGTERM") return;
      clearInterval(alive);
      process.exitCode = 7;
    });
  }
  console.log("ready");
`;

test("an old Node passes each signal on exactly once", async () => {
  const child = run(program("v20.0.0", COUNT_SIGNALS));
  const printed = printer(child);
  const exit = exitOf(child);
  await printed("ready\n");
  for (const [index, signal] of (["SIGINT", "SIGHUP", "SIGTERM"] as const).entries()) {
    child.kill(signal);
    await printed(`${signal} ${index + 1}\n`);
  }
  expect(await exit).toEqual({ code: 7, signal: null });
});

test("a death by signal becomes 128 and the signal's number", async () => {
  const child = run(
    program("v20.0.0", 'process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 9);'),
  );
  expect(await exitOf(child)).toEqual({ code: 128 + constants.signals.SIGKILL, signal: null });
});

test.each(["v20.0.0", process.version])(
  "under npx and Node %s, the end of npx's shell is a SIGTERM",
  async (version) => {
    const main = program(version, COUNT_SIGNALS);
    const shell = spawn("sh", ["-c", `"${process.execPath}" "${main}"; true`], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, npm_command: "exec" },
    });
    const printed = printer(shell);
    await printed("ready\n");
    shell.kill("SIGTERM");
    expect(await printed("SIGTERM 1\n")).toContain("SIGTERM 1");
    await once(shell.stdout, "close");
  },
);
