/** The two bodies of one HTTP request (src/kernel/services/messages/exchange.ts). */
import { setImmediate as settle } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { Exchange, WINDOW_BYTES } from "#kernel/services/messages/exchange.ts";

const head = { status: 200, headers: [], body: true };
const broken = new SoloError("service_crashed", "It ended.");

/** An exchange with the instance's side of it played by the test. */
function play(body?: AsyncIterable<Uint8Array>) {
  const seen = { sent: [] as Uint8Array[], credits: 0, aborts: 0 };
  const exchange = new Exchange({ body, abort: () => void (seen.aborts += 1) });
  exchange.sent(
    (bytes) => void seen.sent.push(bytes),
    (bytes) => void (seen.credits += bytes),
  );
  return { exchange, seen };
}

async function* pieces(...all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all;
}

const sizeOf = (all: readonly Uint8Array[]): number =>
  all.reduce((sum, { length }) => sum + length, 0);

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("bytes arrive whole and in order in both directions, however ends and credits interleave", async () => {
  const chunk = fc.integer({ min: 1, max: 100_000 });
  const many = fc.array(chunk, { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      many,
      many,
      fc.boolean(),
      async (scheduler, up, down, headFirst) => {
        const upload = up.map((size, n) => Buffer.alloc(size, n + 1));
        const download = down.map((size, n) => Buffer.alloc(size, n + 101));
        const { exchange, seen } = play(
          (async function* () {
            for (const each of upload)
              yield await scheduler.schedule(Promise.resolve(each), "client");
          })(),
        );
        const taking = scheduler.scheduleSequence([
          ...(headFirst ? [async () => exchange.responded(head)] : []),
          ...Array.from({ length: 40 }, () => async () => {
            // The instance takes what it has been sent.
            const inFlight = sizeOf(seen.sent) - credited;
            expect(inFlight).toBeLessThanOrEqual(WINDOW_BYTES);
            credited += inFlight;
            exchange.credit(inFlight);
          }),
          ...(headFirst ? [] : [async () => exchange.responded(head)]),
          ...download.map((each) => async () => exchange.chunk(each)),
          async () => {
            while (seen.sent.at(-1)?.length !== 0) {
              const inFlight = sizeOf(seen.sent) - credited;
              credited += inFlight;
              exchange.credit(inFlight);
              await settle();
            }
            exchange.ended();
          },
        ]);
        let credited = 0;
        const reading = exchange.response.then(({ body }) => readAll(body!));
        await scheduler.waitAll();
        await taking.task;
        expect((await reading).equals(Buffer.concat(download))).toBe(true);
        expect(Buffer.concat(seen.sent).equals(Buffer.concat(upload))).toBe(true);
        expect({ credits: seen.credits, aborts: seen.aborts }).toEqual({
          credits: sizeOf(download),
          aborts: 0,
        });
      },
    ),
    { numRuns: 40 },
  );
});

describe("the upload", () => {
  test("stops at the window until the instance takes some (invariant 1)", async () => {
    const { exchange, seen } = play(pieces(Buffer.alloc(3 * WINDOW_BYTES)));
    await settle();
    expect(sizeOf(seen.sent)).toBe(WINDOW_BYTES);
    exchange.credit(1000);
    await settle();
    expect(sizeOf(seen.sent)).toBe(WINDOW_BYTES);
    exchange.credit(WINDOW_BYTES);
    await settle();
    expect(sizeOf(seen.sent)).toBeGreaterThan(WINDOW_BYTES);
  });

  test("ends with an empty piece, and is not sent when nobody wants it (invariant 3)", async () => {
    const short = play(pieces(Buffer.from("ab")));
    await settle();
    expect(short.seen.sent.map(({ length }) => length)).toEqual([2, 0]);
    for (const unwanted of [
      (exchange: Exchange) => exchange.credit(-1),
      (exchange: Exchange) => exchange.responded({ ...head, body: false }),
      (exchange: Exchange) => exchange.ended(),
      (exchange: Exchange) => exchange.broke(broken),
      (exchange: Exchange) => exchange.fail(broken),
    ]) {
      const { exchange, seen } = play(pieces(Buffer.alloc(2 * WINDOW_BYTES)));
      await settle();
      unwanted(exchange);
      exchange.credit(10 * WINDOW_BYTES);
      await settle();
      expect(sizeOf(seen.sent)).toBe(WINDOW_BYTES);
    }
  });

  test("of a client that breaks off aborts the instance (invariant 2)", async () => {
    const { seen } = play(
      // eslint-disable-next-line require-yield
      (async function* () {
        throw new Error("reset");
      })(),
    );
    await settle();
    expect(seen).toEqual({ sent: [], credits: 0, aborts: 1 });
  });
});

describe("the download", () => {
  test("gives credit only for what its reader has taken (invariant 1)", async () => {
    const { exchange, seen } = play();
    exchange.responded(head);
    for (let n = 0; n < 3; n += 1) exchange.chunk(Buffer.alloc(10));
    const body = (await exchange.response).body as AsyncGenerator<Uint8Array>;
    await body.next();
    expect(seen.credits).toBe(0);
    await body.next();
    expect(seen.credits).toBe(10);
  });

  test("that breaks gives what had come, then the error (invariant 2)", async () => {
    const { exchange, seen } = play();
    exchange.responded(head);
    exchange.chunk(Buffer.from("ab"));
    const body = (await exchange.response).body as AsyncGenerator<Uint8Array>;
    exchange.broke(broken);
    expect((await body.next()).value).toEqual(Buffer.from("ab"));
    await expect(body.next()).rejects.toBe(broken);
    expect(seen.aborts).toBe(1);
  });

  test("whose reader leaves aborts the instance; one that was read whole does not", async () => {
    const left = play();
    left.exchange.responded(head);
    left.exchange.chunk(Buffer.from("ab"));
    for await (const _ of (await left.exchange.response).body!) break;
    expect(left.seen.aborts).toBe(1);
    const whole = play();
    whole.exchange.responded(head);
    whole.exchange.ended();
    expect(await readAll((await whole.exchange.response).body!)).toHaveLength(0);
    expect(whole.seen.aborts).toBe(0);
  });

  test("that ignores its window is broken off", async () => {
    const { exchange, seen } = play();
    exchange.responded(head);
    for (let n = 0; n < 17; n += 1) exchange.chunk(Buffer.alloc(WINDOW_BYTES));
    expect(seen.aborts).toBe(1);
    await expect(readAll((await exchange.response).body!)).rejects.toMatchObject({
      code: "service_error",
    });
  });
});

test("a failure before the head is the response's, and a late one changes nothing", async () => {
  const early = play();
  early.exchange.fail(broken);
  await expect(early.exchange.response).rejects.toBe(broken);
  const late = play();
  late.exchange.responded({ ...head, body: false });
  late.exchange.fail(broken);
  expect(await late.exchange.response).toMatchObject({ status: 200, body: undefined });
});

test("an impossible status is the service's error, and ends what it still does", async () => {
  for (const status of [0, 101, 199, 600, 200.5, Number.NaN]) {
    const { exchange, seen } = play();
    exchange.responded({ ...head, status });
    await expect(exchange.response).rejects.toMatchObject({ code: "service_error" });
    expect(seen.aborts, String(status)).toBe(1);
  }
});
