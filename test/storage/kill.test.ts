import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { open, tempDir } from "./support.ts";

const CHILD = new URL("./child.ts", import.meta.url).pathname;
const ROUNDS = 10;

test("whatever was acknowledged before a kill -9 at a random moment is there afterwards", async () => {
  await using dir = await tempDir();
  const events = new Map<number, string>();
  const pairs = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, [CHILD, dir.path, "load"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    // Killed in the middle of the load, after a number of acknowledgements that nobody chose.
    let left = 20 + Math.floor(Math.random() * 400);
    for await (const line of createInterface({ input: child.stdout })) {
      const [kind, first, second] = line.split(" ") as [string, string, string];
      if (kind === "event") events.set(Number(first), second);
      else if (kind === "kv") pairs.set(first, Number(second));
      else throw new Error(`The child said: ${line}`);
      if (--left === 0) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
  }

  await using storage = await open(dir.path);
  const head = storage.events.openedAtId;
  const stored = (await storage.events.read({ limit: 1_000_000 })).events;
  expect(stored.map(({ id }) => id)).toEqual(Array.from({ length: head }, (_, i) => i + 1));
  for (const [id, marker] of events) expect(stored[id - 1]?.subject).toBe(marker);
  const entries = await storage.kv.list("load", { limit: 10_000 });
  const versions = new Map(entries.map(({ key, version }) => [key, version]));
  for (const [key, version] of pairs) expect(versions.get(key)).toBe(version);
  expect(await storage.events.verify()).toEqual({ ok: true, checked: head });
  expect(events.size).toBeGreaterThan(ROUNDS * 5);
});

test("a batch is there as a whole after a kill -9 at a random moment, or nothing of it is", async () => {
  await using dir = await tempDir();
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, [CHILD, dir.path, "batches"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let left = 1 + Math.floor(Math.random() * 60);
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (--left === 0) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    expect(child.signalCode).toBe("SIGKILL");
    await using storage = await open(dir.path);
    const entries = await storage.kv.list("batch", { limit: 10_000 });
    const text = (key: string) => {
      const entry = entries.find((each) => each.key === key);
      return entry && Buffer.from(entry.value).toString();
    };
    const newest = Number(text("left"));
    // One more may be on the disk than was heard of.
    expect(newest - acknowledged).toBeGreaterThanOrEqual(0);
    expect(text("right")).toBe(String(newest));
    const lasts = entries.filter(({ key }) => key.endsWith("-last")).map(({ key }) => key);
    expect(lasts).toEqual([`n-${newest}-last`]);
    expect(entries.filter(({ key }) => key.endsWith("-first"))).toHaveLength(newest);
  }
});
