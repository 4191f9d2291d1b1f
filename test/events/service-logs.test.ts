import { describe, expect, test } from "vitest";
import { systemClock } from "#base/clock.ts";
import { type InstanceId, serviceId, tenantId } from "#base/ids.ts";
import { type LogLine, ServiceLogs } from "#events/service-logs.ts";
import { Fixture, turn, until } from "./support.ts";

const key = { tenant: tenantId("acme"), service: serviceId("shop") };
const other = { tenant: tenantId("acme"), service: serviceId("bank") };
const instance = "i_1" as InstanceId;
const line = (text: string, of = key) => ({ key: of, instance, level: "info", text }) as const;
const texts = (lines: readonly LogLine[]) => lines.map(({ text }) => text);

describe("service logs", () => {
  test("are read per service, oldest or newest first, and at once", async () => {
    await using fixture = await Fixture.open();
    const { logs } = fixture;
    for (const n of [1, 2, 3]) {
      logs.write(line(`shop ${n}`));
      logs.write(line(`bank ${n}`, other));
    }
    const lines = await logs.read({ key });
    expect(texts(lines)).toEqual(["shop 1", "shop 2", "shop 3"]);
    expect(lines[0]).toMatchObject({ level: "info", instance: "i_1" });
    expect(texts(await logs.read({ key, limit: 1, order: "desc" }))).toEqual(["shop 3"]);
    expect(texts(await logs.read({ key, since: lines[0]?.seq }))).toEqual(["shop 2", "shop 3"]);
  });

  test("survive a store that is killed, and are followed through it without gap or repeat", async () => {
    await using fixture = await Fixture.open();
    const { logs } = fixture;
    logs.write(line("before"));
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { text } of logs.follow({ key, since: 0 }, stop.signal)) seen.push(text);
    })();
    const written = ["before"];
    for (let i = 0; i < 60; i++) {
      logs.write(line(`${i}`));
      logs.write(line("noise", other));
      written.push(`${i}`);
      if (i % 10 === 0) await turn();
      if (i === 30) {
        await fixture.kill();
        logs.write(line("while away"));
        written.push("while away");
        await fixture.reopen();
      }
    }
    await until(() => seen.length >= written.length);
    stop.abort();
    await following;
    expect(seen).toEqual(written);
    expect(texts(await logs.read({ key }))).toEqual(written);
    expect(logs.dropped).toBe(0);
  });

  test("never use a number twice, also after a restart of the kernel", async () => {
    await using fixture = await Fixture.open();
    fixture.logs.write(line("one"));
    const [first] = await fixture.logs.read({ key });
    await fixture.storage.close();
    await fixture.reopen();
    const logs = new ServiceLogs({ clock: systemClock });
    logs.attach(fixture.storage.logs);
    logs.write(line("two"));
    const lines = await logs.read({ key });
    expect(texts(lines)).toEqual(["one", "two"]);
    // Lines of the first run that were lost with it may have had the numbers in between.
    expect(lines[1]?.seq).toBeGreaterThan((first?.seq ?? 0) + 1_000);
  });

  test("keep the newest lines of each service", async () => {
    await using fixture = await Fixture.open({ storage: { logLinesPerService: 100 } });
    const { logs } = fixture;
    logs.write(line("quiet", other));
    for (let i = 0; i < 5_000; i++) {
      logs.write(line(`${i}`));
      if (i % 100 === 0) await turn();
    }
    const lines = texts(await logs.read({ key, limit: 10_000 }));
    expect(lines.at(-1)).toBe("4999");
    expect(lines.length).toBeLessThan(2_200);
    expect(texts(await logs.read({ key: other }))).toEqual(["quiet"]);
  });

  test("are cut when a line is too long, dropped when there are too many, and forgotten on request", async () => {
    await using fixture = await Fixture.open();
    const { logs } = fixture;
    logs.write(line(`${"x".repeat(9_000)}\ud800`));
    const [cut] = await logs.read({ key });
    expect(cut?.text).toHaveLength(8_192);
    for (let i = 0; i < 20_100; i++) logs.write(line("flood"));
    expect(logs.dropped).toBe(100);
    await logs.remove(key);
    expect(await logs.read({ key })).toEqual([]);
  });
});
