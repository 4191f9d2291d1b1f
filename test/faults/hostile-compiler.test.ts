/** A compiler that was taken over fails the deploy that it answers wrongly, and no other: the
 *  next one is answered by a new process. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { asCellProcess, launchPlain, type Launcher } from "#kernel/cells/launcher.ts";
import { CompilerPool } from "#kernel/compilers/pool.ts";
import { until } from "../support/until.ts";

const HOSTILE = fileURLToPath(new URL("./hostile-compiler.mjs", import.meta.url));
const SOURCE = { files: { "index.ts": "export default { calls: {} };" }, entry: "index.ts" };
const plain = launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });

/** Its first process is hostile, the next ones are real. */
async function opened(behaviour: string): Promise<CompilerPool> {
  let hostile = true;
  const launch: Launcher = (options) => {
    if (!hostile) return plain(options);
    hostile = false;
    const child = spawn(process.execPath, [HOSTILE, behaviour], {
      env: {},
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    return asCellProcess(child, options.onStderr);
  };
  const pool = new CompilerPool({ launch, clock: systemClock, log: silentLogger, limit: 4 });
  await pool.open();
  return pool;
}

test.for([
  "no JSON",
  "null",
  "modules that are no list",
  "a module of another path",
  "a module without code",
  "findings without a place",
  "ten million brackets",
  "a frame of four gigabytes",
  "another's number",
])("one that answers with %s fails that source, and the next is compiled", async (behaviour) => {
  const pool = await opened(behaviour);
  try {
    const [first, next] = await Promise.allSettled([
      pool.compile("a", SOURCE),
      pool.compile("a", SOURCE),
    ]);
    expect(first).toMatchObject({ status: "rejected", reason: { code: "compile_failed" } });
    expect(next).toMatchObject({ value: { modules: [{ path: "index.ts" }] } });
  } finally {
    await pool.close();
  }
});

test("one that answers twice does not answer for the next source", async () => {
  const pool = await opened("twice");
  try {
    const [first, next] = await Promise.all([pool.compile("a", SOURCE), pool.compile("a", SOURCE)]);
    expect(first.modules[0]!.code).toBe("mine");
    expect(next.modules[0]!.code).toContain("export default");
  } finally {
    await pool.close();
  }
});

test("one that changes what it compiles changes nothing of another tenant's", async () => {
  const pool = await opened("its own code");
  try {
    const [forged, others, forgedAgain] = await Promise.all([
      pool.compile("a", SOURCE),
      pool.compile("b", SOURCE),
      pool.compile("a", SOURCE),
    ]);
    expect(forged.modules[0]!.code).toBe("forged");
    expect(forgedAgain.modules[0]!.code).toBe("forged");
    expect(others.modules[0]!.code).toContain("export default");
  } finally {
    await pool.close();
  }
});

test("one that fills the memory ends, and the next source is compiled", async () => {
  // Again on a machine that needs longer for a gigabyte than a source may take.
  await until(async () => {
    const pool = await opened("memory without end");
    try {
      const [first, next] = await Promise.allSettled([
        pool.compile("a", SOURCE),
        pool.compile("a", SOURCE),
      ]);
      expect(next).toMatchObject({ status: "fulfilled" });
      expect(first).toMatchObject({
        reason: { code: "compile_failed", message: expect.stringContaining("1024 MiB of memory") },
      });
      return true;
    } finally {
      await pool.close();
    }
  }, "it to be ended for its memory");
});
