/** When a silent cell is ended (src/kernel/cells/silence.ts), and what Linux tells of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { Silence } from "#kernel/cells/silence.ts";
import { mainThreadOf, type ThreadTime } from "#sandbox/cpu-time.ts";
import { until } from "../support/until.ts";

const LONG = 1000;
/** After how many checks it is ended; `look` as at that check. */
function checksOf(look: (check: number) => ThreadTime | undefined): number {
  const silence = new Silence();
  for (let check = 1; check <= LONG; check += 1) {
    if (silence.check(() => look(check))) return check;
  }
  return Infinity;
}

describe("a cell that says nothing", () => {
  test.for([
    ["is frozen or sleeps", () => ({ isRunnable: false, cpuMs: 70 })],
    ["runs all the time", (check: number) => ({ isRunnable: true, cpuMs: check * 250 })],
    ["cannot be looked at", () => undefined],
  ] as const)("and %s is ended at the ninth check", ([, look]) => {
    expect(checksOf(look)).toBe(9);
  });

  test("and waits for a core is given time until it has run for a second", () => {
    expect(checksOf((check) => ({ isRunnable: true, cpuMs: check * 50 }))).toBe(22);
  });

  test("and never gets a core is ended all the same", () => {
    expect(checksOf(() => ({ isRunnable: true, cpuMs: 70 }))).toBe(41);
  });

  test("and then speaks has its checks before it again", () => {
    const silence = new Silence();
    for (let round = 0; round < 5; round += 1) {
      for (let check = 0; check < 8; check += 1) expect(silence.check(() => undefined)).toBe(false);
      silence.end();
    }
  });
});

test.runIf(process.platform === "linux")(
  "Linux tells a thread that runs from one that is frozen and one that sleeps",
  async () => {
    const child = spawn(
      process.execPath,
      ["-e", "process.stdin.once('data', () => { for (;;); }); console.log('up');"],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    try {
      await once(child.stdout, "data");
      const look = () => mainThreadOf(child.pid!)!;
      await until(() => !look().isRunnable, "it to sleep");
      child.stdin.write("run\n");
      const { cpuMs } = await until(() => look().isRunnable && look(), "it to run");
      await until(() => look().cpuMs > cpuMs + 50, "its time to pass");
      child.kill("SIGSTOP");
      await until(() => !look().isRunnable, "it to be frozen");
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    expect(mainThreadOf(child.pid!)).toBeUndefined();
  },
);
