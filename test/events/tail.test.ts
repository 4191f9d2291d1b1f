import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tenantId } from "#base/ids.ts";
import type { Event } from "#events/event.ts";
import { Deque } from "#events/deque.ts";
import { Fixture, range, turn, until } from "./support.ts";

const filler = { type: "service.filler" } as const;

describe("a tail", () => {
  test("misses nothing and repeats nothing across reconnects, restarts of the store and slow reading", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          history: fc.nat(60),
          live: fc.integer({ min: 1, max: 150 }),
          recentEvents: fc.constantFrom(1, 8, 1_000),
          reconnectEvery: fc.integer({ min: 1, max: 40 }),
          restartAt: fc.nat(150),
          onlyThirds: fc.boolean(),
        }),
        async ({ history, live, recentEvents, reconnectEvery, restartAt, onlyThirds }) => {
          await using fixture = await Fixture.open({ log: { recentEvents } });
          const { log } = fixture;
          const emit = () =>
            log.emit({ ...filler, subject: `s${(log.head() + 1) % 3}`, payload: {} });
          for (let i = 0; i < history; i++) emit();
          await log.flushed();

          const total = history + live;
          const seen: Event[] = [];
          const over = new AbortController();
          let stop = () => {};
          const reading = (async () => {
            let sinceId = 0;
            while (!over.signal.aborted) {
              const connection = new AbortController();
              let left = reconnectEvery;
              const filter = onlyThirds ? { sinceId, serviceId: "s1" } : { sinceId };
              stop = () => connection.abort();
              for await (const event of log.tail(filter, connection.signal)) {
                seen.push(event);
                sinceId = event.id;
                if (left % 3 === 0) await turn();
                if (--left === 0) break;
              }
            }
          })();
          for (let i = 0; i < live; i++) {
            emit();
            if (i % 7 === 0) await turn();
            if (i === restartAt) {
              await fixture.kill();
              await fixture.reopen();
            }
          }
          await log.flushed();
          const expected = (
            await log.read({ limit: 10_000, ...(onlyThirds && { serviceId: "s1" }) })
          ).map(({ id }) => id);
          await until(() => seen.length >= expected.length);
          over.abort();
          stop();
          await reading;
          expect(log.head()).toBe(total);
          expect(seen.map(({ id }) => id)).toEqual(expected);
        },
      ),
      { numRuns: 12 },
    );
  });

  test("sees only acknowledged events", async () => {
    await using fixture = await Fixture.open();
    const { log } = fixture;
    const stop = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const event of log.tail({}, stop.signal)) {
        expect(event.id).toBeLessThanOrEqual(log.head());
        seen.push(event.id);
      }
    })();
    for (let i = 0; i < 100; i++) {
      log.emit(filler);
      if (i % 9 === 0) await turn();
    }
    await log.flushed();
    await until(() => seen.length === 100);
    stop.abort();
    await reading;
    expect(seen).toEqual(range(1, 100));
  });

  test("that reads slowly is not buffered for: it goes on from the disk", async () => {
    await using fixture = await Fixture.open({ log: { recentEvents: 4 } });
    const { log } = fixture;
    const stop = new AbortController();
    const tail = log.tail({}, stop.signal);
    log.emit(filler);
    expect((await tail.next()).value).toMatchObject({ id: 1 });
    for (let i = 0; i < 2_000; i++) log.emit(filler);
    await log.flushed();
    for (const id of range(2, 2_001)) expect((await tail.next()).value).toMatchObject({ id });
    stop.abort();
    expect((await tail.next()).done).toBe(true);
  });

  test("is filtered by tenant, service and type", async () => {
    await using fixture = await Fixture.open();
    const { log } = fixture;
    const stop = new AbortController();
    const tail = log.tail(
      { tenantId: "a", serviceId: "x", eventTypes: ["service.y"], sinceId: 2 },
      stop.signal,
    );
    const matching = { type: "service.y", tenantId: tenantId("a"), subject: "x" } as const;
    log.emit(matching);
    log.emit(matching);
    log.emit({ ...matching, tenantId: tenantId("b") });
    log.emit({ ...matching, tenantId: null });
    log.emit({ ...matching, subject: "z" });
    log.emit({ ...matching, type: "service.z" });
    log.emit(matching);
    expect((await tail.next()).value).toMatchObject({ id: 7 });
    stop.abort();
  });

  test("whose signal has fired ends without an event", async () => {
    await using fixture = await Fixture.open();
    await fixture.log.append(filler);
    expect((await fixture.log.tail({}, AbortSignal.abort()).next()).done).toBe(true);
  });
});

test("a deque holds what a list holds", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant("push"), fc.nat(5))), (steps) => {
      const deque = new Deque<number>();
      let list: number[] = [];
      let next = 0;
      for (const step of steps) {
        if (typeof step === "number") {
          expect(deque.take(step)).toEqual(list.slice(0, step));
          list = list.slice(step);
        } else {
          deque.push(next);
          list.push(next++);
        }
        expect(deque.length).toBe(list.length);
        expect(deque.at(0)).toBe(list[0]);
        expect(deque.countWhile((item) => item < next / 2)).toBe(
          list.filter((item) => item < next / 2).length,
        );
      }
    }),
  );
});
