/** Supervision of what really dies: operating-system processes and worker threads. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import type { Child, ChildSpec, ExitReason } from "#supervisor/child.ts";
import { Supervisor, supervisorSpec } from "#supervisor/supervisor.ts";
import { until } from "../support/until.ts";

interface ProcessChild extends Child {
  readonly process: ChildProcess;
}

const POLITE = `console.log("up"); setInterval(() => {}, 1000);`;
const DEAF = `process.on("SIGTERM", () => {}); ${POLITE}`;

const processSpec = (id: string, script: string, shutdown: number): ChildSpec<ProcessChild> => ({
  id,
  restart: "permanent",
  shutdown,
  type: "worker",
  async start() {
    const process_ = spawn(process.execPath, ["-e", script], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const exited = once(process_, "exit").then(([code, signal]): ExitReason =>
      code === 0
        ? { kind: "normal" }
        : signal === "SIGTERM"
          ? { kind: "shutdown" }
          : signal === "SIGKILL"
            ? { kind: "killed" }
            : { kind: "crashed", error: new Error(`exit code ${code}`) },
    );
    await once(process_.stdout, "data");
    return {
      process: process_,
      exited,
      async stop() {
        process_.kill("SIGTERM");
      },
      kill: () => process_.kill("SIGKILL"),
    };
  },
});

const pidOf = (supervisor: Supervisor, id: string) =>
  (supervisor.findChild(id) as ProcessChild | undefined)?.process.pid;
const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a process killed from outside is replaced, together with those after it", async () => {
  await using supervisor = await Supervisor.start({
    id: "top",
    strategy: "rest_for_one",
    clock: systemClock,
    children: ["a", "b", "c"].map((id) => processSpec(id, POLITE, 5000)),
  });
  const before = ["a", "b", "c"].map((id) => pidOf(supervisor, id)!);
  process.kill(before[1]!, "SIGKILL");
  await until(() => {
    const now = pidOf(supervisor, "c");
    return now !== undefined && now !== before[2];
  }, "c to run again");
  expect(pidOf(supervisor, "a")).toBe(before[0]);
  expect(alive(before[1]!) || alive(before[2]!)).toBe(false);
  const after = ["a", "b", "c"].map((id) => pidOf(supervisor, id)!);
  await supervisor.stop({ timeoutMs: 5000 });
  expect(after.filter(alive)).toEqual([]);
});

test("a process that ignores the request to stop is killed when its time is over", async () => {
  const reasons: ExitReason[] = [];
  const supervisor = await Supervisor.start({
    id: "top",
    strategy: "one_for_one",
    clock: systemClock,
    children: [processSpec("deaf", DEAF, 50)],
    onEvent: (event) => event.kind === "child_exited" && reasons.push(event.reason),
  });
  const pid = pidOf(supervisor, "deaf")!;
  await supervisor.stop({ timeoutMs: "infinity" });
  expect(reasons).toEqual([{ kind: "killed" }]);
  expect(alive(pid)).toBe(false);
});

test("a thread that keeps crashing takes its service down, and nothing else", async () => {
  const threadSpec = (id: string, script: string): ChildSpec => ({
    id,
    restart: "permanent",
    shutdown: 5000,
    type: "worker",
    async start() {
      const worker = new Worker(script, { eval: true });
      const crash = Promise.withResolvers<ExitReason>();
      worker.once("error", (error) => crash.resolve({ kind: "crashed", error }));
      const exited = once(worker, "exit").then(
        (): ExitReason => ({ kind: "shutdown" }),
        (): Promise<ExitReason> => crash.promise,
      );
      const gone = Promise.race([crash.promise, exited]);
      await once(worker, "online");
      return {
        exited: gone,
        stop: async () => void (await worker.terminate()),
        kill: () => void worker.terminate(),
      };
    },
  });
  const service = (id: string, script: string) =>
    supervisorSpec({
      id,
      restart: "temporary",
      strategy: "one_for_one",
      clock: systemClock,
      maxRestarts: 2,
      maxSeconds: 3600,
      children: [threadSpec("instance", script)],
    });
  await using tenant = await Supervisor.start({
    id: "tenant",
    strategy: "one_for_one",
    dynamic: true,
    clock: systemClock,
  });
  const good = await tenant.startChild(service("good", `setInterval(() => {}, 1000);`));
  const bad = await tenant.startChild(
    service("bad", `setTimeout(() => { throw new Error("x"); }, 5);`),
  );
  expect((await bad.exited).kind).toBe("shutdown");
  await until(() => tenant.findChild("bad") === undefined, "the tenant to notice");
  expect(bad.whichChildren()).toMatchObject([{ state: "stopped", restarts: 2 }]);
  expect(good.whichChildren()).toMatchObject([{ state: "running", restarts: 0 }]);
});
