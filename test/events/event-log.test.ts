import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { tenantId } from "#base/ids.ts";
import { EventLog } from "#events/event-log.ts";
import { EVENT_TYPES, isEventType } from "#events/types.ts";
import { openStorage } from "#storage/storage.ts";
import { Fixture, range, turn, until } from "./support.ts";

const filler = { type: "service.filler" } as const;

describe("emitting", () => {
  test("an event is read back with everything that was said about it", async () => {
    await using fixture = await Fixture.open();
    const { log } = fixture;
    const cause = log.emit({
      type: "system_started",
      payload: { version: "1", pid: 2, started_in_ms: 3 },
    });
    const id = await log.append({
      type: "service.order_placed",
      tenantId: tenantId("acme"),
      subject: "shop",
      payload: { total: 12.5, text: "ünï\u2028" },
      causationId: cause,
    });
    expect([cause, id]).toEqual([1, 2]);
    const [first, second] = await log.read({});
    expect(first).toMatchObject({
      id: 1,
      tenant_id: null,
      subject: null,
      causation_id: null,
      boot_id: "test",
    });
    expect(second).toMatchObject({
      id: 2,
      tenant_id: "acme",
      event_type: "service.order_placed",
      subject: "shop",
      payload: { total: 12.5, text: "ünï\u2028" },
      causation_id: 1,
    });
    expect(second?.wall_clock).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(BigInt(second?.timestamp ?? 0)).toBeGreaterThan(BigInt(first?.timestamp ?? 0));
  });

  test("the payload is copied at once", async () => {
    await using fixture = await Fixture.open();
    const payload = { n: 1 };
    const written = fixture.log.append({ ...filler, payload });
    payload.n = 2;
    await written;
    expect((await fixture.log.read({}))[0]?.payload).toEqual({ n: 1 });
  });

  test("only what is on the disk counts as the head", async () => {
    await using fixture = await Fixture.open();
    fixture.log.emit(filler);
    expect(fixture.log.head()).toBe(0);
    await fixture.log.flushed();
    expect(fixture.log.head()).toBe(1);
  });

  test("what is no event is refused and takes no id", async () => {
    await using fixture = await Fixture.open();
    const { log } = fixture;
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const refused = [
      { type: "made_up" },
      { type: "service." },
      { ...filler, payload: [] },
      { ...filler, payload: circular },
      { ...filler, payload: { n: 1n } },
      { ...filler, payload: { toJSON: () => "text" } },
      { ...filler, subject: "" },
      { ...filler, subject: "a\nb" },
      { ...filler, subject: "\ud800" },
      { ...filler, tenantId: "../x" },
      { ...filler, causationId: 7 },
    ];
    for (const event of refused) {
      await expect(log.append(event as never)).rejects.toMatchObject({ code: "invalid_argument" });
    }
    await expect(
      log.append({ ...filler, payload: { text: "x".repeat(70_000) } }),
    ).rejects.toMatchObject({ code: "payload_too_large" });
    expect(await log.append(filler)).toBe(1);
  });

  test("beyond the backlog emitters are refused, and later accepted again", async () => {
    await using fixture = await Fixture.open({ log: { maxBacklogEvents: 10 } });
    const { log } = fixture;
    for (const id of range(1, 10)) expect(log.emit(filler)).toBe(id);
    expect(() => log.emit(filler)).toThrow(expect.objectContaining({ code: "overloaded" }));
    await log.flushed();
    expect(log.emit(filler)).toBe(11);
  });

  test("every type has a name that cannot be a service's own", () => {
    for (const type of Object.keys(EVENT_TYPES)) expect(type.startsWith("service.")).toBe(false);
    expect(isEventType("service.a-b.c_d")).toBe(true);
    expect(isEventType("toString")).toBe(false);
  });
});

describe("a store that fails", () => {
  test("and comes back: ids stay, awaited events resolve, nothing is lost or written twice", async () => {
    await using fixture = await Fixture.open();
    const { log } = fixture;
    const awaited: Promise<number>[] = [];
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40; i++) {
        awaited.push(log.append({ ...filler, payload: { n: awaited.length + 1 } }));
        if (i % 10 === round) await turn();
      }
      await fixture.kill();
      awaited.push(log.append({ ...filler, payload: { n: awaited.length + 1 } }));
      await fixture.reopen();
    }
    expect(await Promise.all(awaited)).toEqual(range(1, awaited.length));
    const events = await log.read({ limit: 1_000 });
    expect(events.map(({ id }) => id)).toEqual(range(1, awaited.length));
    expect(events.every(({ id, payload }) => payload["n"] === id)).toBe(true);
    expect((await log.verify()).ok).toBe(true);
  });

  test("for longer than the grace: awaited events are refused, and still written in the end", async () => {
    await using fixture = await Fixture.open({ log: { restartGraceMs: 5 } });
    const { log } = fixture;
    await fixture.kill();
    await expect(log.append(filler)).rejects.toMatchObject({ code: "unavailable" });
    expect(log.emit(filler)).toBe(2);
    await expect(log.read({})).rejects.toMatchObject({ code: "unavailable" });
    await fixture.reopen();
    await log.flushed();
    expect((await log.read({})).map(({ id }) => id)).toEqual([1, 2]);
  });

  test("and comes back without events that were acknowledged is refused", async () => {
    await using fixture = await Fixture.open();
    await fixture.log.append(filler);
    await using other = await Fixture.open();
    expect(() => fixture.log.attach(other.storage.events)).toThrow(
      expect.objectContaining({ code: "storage_corrupt" }),
    );
  });

  test("before there ever was a store, nothing can be emitted", () => {
    using log = new EventLog({ clock: systemClock, bootId: "test" });
    expect(() => log.emit(filler)).toThrow(expect.objectContaining({ code: "unavailable" }));
  });
});

/** A file system of its own that can be filled; needs the right to mount. */
function smallDisk(): { path: string; remove: () => void } | undefined {
  const path = mkdtempSync(join(tmpdir(), "solo-full-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", path], { stdio: "ignore" });
  } catch {
    rmSync(path, { recursive: true });
    return undefined;
  }
  return {
    path,
    remove: () => {
      execFileSync("umount", [path]);
      rmSync(path, { recursive: true });
    },
  };
}

test("a disk that is full: awaited events are refused, emitted ones kept, and all goes on when there is room", async (context) => {
  const disk = smallDisk();
  if (disk === undefined) return context.skip("mounting is not allowed here");
  try {
    const ballast = join(disk.path, "ballast");
    writeFileSync(ballast, new Uint8Array(2_000_000));
    await using storage = await openStorage({
      dataDir: join(disk.path, "data"),
      clock: systemClock,
    });
    using log = new EventLog({ clock: systemClock, bootId: "test", retryMs: 5 });
    log.attach(storage.events);
    let acknowledged = 0;
    const fill = async () => {
      for (;;) acknowledged = await log.append({ ...filler, payload: { text: "x".repeat(5_000) } });
    };
    await expect(fill()).rejects.toMatchObject({ code: "storage_full" });
    await expect(log.append(filler)).rejects.toMatchObject({ code: "storage_full" });
    const emitted = log.emit({ ...filler, subject: "while-full" });
    expect(log.head()).toBe(acknowledged);
    expect(await log.read({ limit: 10_000 })).toHaveLength(acknowledged);

    rmSync(ballast);
    await until(() => log.head() >= emitted);
    expect(await log.append(filler)).toBe(emitted + 1);
    const ids = (await log.read({ limit: 10_000 })).map(({ id }) => id);
    expect(ids).toEqual(range(1, emitted + 1));
    expect((await log.verify()).ok).toBe(true);
  } finally {
    disk.remove();
  }
});
