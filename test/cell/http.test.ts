/** HTTP between lines and a guest's fetch (src/cell/guest/http.ts), and requests (requests.ts). */
import { setImmediate as settle } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createHttp, RESPONSE_WINDOW } from "#cell/guest/http.ts";
import { OUT } from "#cell/guest/lines.ts";
import { createOutbox } from "#cell/guest/outbox.ts";
import { createRequests, refusalOf } from "#cell/guest/requests.ts";
import { createTimers } from "#cell/guest/timers.ts";
import { hasBytes, hear, linesOf } from "./support.ts";

const head = (body: boolean) => ({
  method: "POST",
  url: "http://s/path",
  headers: [["x-a", "1"]] as const,
  body,
});

function setUp() {
  const outbox = createOutbox();
  const http = createHttp(outbox);
  /** Everything said, with the bytes of chunks in place; as the host does it. */
  const heard = () => {
    const rendered = outbox.render();
    const chunks = hasBytes(rendered) ? outbox.takeBytes() : [];
    outbox.acknowledge();
    http.roomAgain();
    return linesOf(rendered).map((line) =>
      line.op === OUT.chunk ? { ...line, bytes: chunks.shift()! } : line,
    );
  };
  return { outbox, http, heard };
}
const streamOf = (...chunks: Uint8Array[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

describe("a response", () => {
  test("is a head with every header, cookies one by one, then its bytes, then an end", async () => {
    const { http, heard } = setUp();
    const response = new Response("hello", {
      status: 201,
      headers: [
        ["x-b", "2"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ],
    });
    http.respond(7, response, () => {});
    for (let n = 0; n < 3; n += 1) await settle();
    const [first, chunk, end] = heard();
    const { status, headers, body } = JSON.parse(first!.rest) as {
      status: number;
      headers: string[][];
      body: boolean;
    };
    expect({ status, body }).toEqual({ status: 201, body: true });
    expect(headers).toEqual(
      expect.arrayContaining([
        ["x-b", "2"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ]),
    );
    expect(Buffer.from((chunk as unknown as { bytes: Uint8Array }).bytes).toString()).toBe("hello");
    expect(end).toMatchObject({ op: OUT.end, id: 7 });
    expect(http.streaming).toBe(0);
  });

  test("sends no more than its window until the host has taken some (invariant 1)", async () => {
    const { http, heard } = setUp();
    const MIB = 1024 * 1024;
    http.respond(1, new Response(streamOf(new Uint8Array(MIB))), () => {});
    let taken = 0;
    let inFlight = 0;
    for (let turn = 0; turn < 100 && taken < MIB; turn += 1) {
      await settle();
      for (const line of heard()) if ("bytes" in line) inFlight += line.bytes.length;
      expect(inFlight).toBeLessThanOrEqual(RESPONSE_WINDOW);
      taken += inFlight;
      http.credit(1, inFlight);
      inFlight = 0;
    }
    expect(taken).toBe(MIB);
  });

  test("that finds the outbox full goes on when it has been emptied", async () => {
    const { outbox, http, heard } = setUp();
    while (outbox.add(OUT.request, 1, "")) continue;
    http.respond(1, new Response("late"), () => {});
    await settle();
    expect(heard().map(({ op }) => op)).not.toContain(OUT.chunk);
    await settle();
    expect(heard().map(({ op }) => op)).toEqual([OUT.chunk, OUT.end]);
  });

  test("that breaks says so, and a body that is not bytes is a break", async () => {
    const { http, heard } = setUp();
    const broken = new ReadableStream({
      pull: (controller) => controller.error(new Error("torn")),
    });
    const texts = new ReadableStream({ start: (controller) => controller.enqueue("text") });
    http.respond(1, new Response(broken), () => {});
    // A foreign Response need not check its body.
    http.respond(
      2,
      { status: 200, headers: new Headers(), body: texts } as unknown as Response,
      () => {},
    );
    await settle();
    const said = heard().filter(({ op }) => op === OUT.bodyFailed);
    expect(new Set(said.map(({ id }) => id))).toEqual(new Set([1, 2]));
    expect(http.streaming).toBe(0);
  });

  test("whose client goes is cancelled, and its handler hears of it", async () => {
    const { http, heard } = setUp();
    let cancelled = false;
    let gone = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
      cancel: () => void (cancelled = true),
    });
    http.respond(1, new Response(endless), () => (gone = true));
    await settle();
    http.abort(1);
    await settle();
    heard();
    await settle();
    expect({ cancelled, gone, streaming: http.streaming, said: heard() }).toEqual({
      cancelled: true,
      gone: true,
      streaming: 0,
      said: [],
    });
  });

  test("with headers beyond what can be said is refused", () => {
    const { http } = setUp();
    const headers = new Headers(
      Array.from({ length: 20 }, (_, n) => [`x-${n}`, "v".repeat(1024 * 1024)]),
    );
    expect(() => http.respond(1, new Response(null, { headers }), () => {})).toThrow(RangeError);
  });
});

describe("a request", () => {
  test("has the body that was sent, in whatever pieces, and gives credit for what it took", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
        async (pieces) => {
          const { http, heard } = setUp();
          const request = http.request(3, head(true), undefined);
          for (const piece of pieces) http.requestChunk(3, piece);
          http.requestChunk(3, undefined);
          const bytes = await request.bytes();
          expect(Buffer.from(bytes)).toEqual(Buffer.concat(pieces));
          const credits = heard()
            .filter(({ op }) => op === OUT.credit)
            .map(({ rest }) => Number(rest));
          expect(credits).toEqual(pieces.map(({ length }) => length));
          expect(http.streaming).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("whose body is given up lets the client send the rest into nothing", async () => {
    const { http, heard } = setUp();
    const request = http.request(3, head(true), undefined);
    await request.body!.cancel();
    http.requestChunk(3, new Uint8Array(10));
    expect(heard()).toEqual([{ op: OUT.credit, id: 3, rest: "-1" }]);
    expect(http.streaming).toBe(0);
  });

  test("is over once its response is complete (invariant 2)", async () => {
    const { http } = setUp();
    const request = http.request(3, head(true), undefined);
    const reading = request.text();
    http.respond(3, new Response(null, { status: 204 }), () => {});
    await expect(reading).rejects.toThrow();
    expect(http.streaming).toBe(0);
  });
});

describe("requests to the host", () => {
  test("get their own answers, in any order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 5 }), async (order) => {
        const requests = createRequests(createOutbox());
        const asked = [1, 2, 3, 4, 5].map((n) => requests.send("kv.get", [n]));
        for (const id of order) requests.answer(id, JSON.stringify({ id }));
        expect(await Promise.all(asked)).toEqual([1, 2, 3, 4, 5].map((id) => ({ id })));
        expect(requests.open).toBe(0);
      }),
    );
  });

  test("whose value looks like a streamed response are values all the same", async () => {
    const requests = createRequests(createOutbox());
    const asked = requests.send("kv.get", ["k"]);
    requests.answer(1, '{"$streaming":true,"status":200}');
    expect(await asked).toEqual({ $streaming: true, status: 200 });
    expect(requests.open).toBe(0);
  });

  test("for another service's fetch get a head, then a body in chunks", async () => {
    const requests = createRequests(createOutbox());
    const asked = requests.send("services.fetch", ["other", {}]) as Promise<{
      status: number;
      body: ReadableStream;
    }>;
    requests.answer(1, '{"status":200,"headers":[]}');
    requests.answerChunk(1, Buffer.from("ab"));
    requests.answerChunk(1, Buffer.from("c"));
    requests.answerChunk(1, undefined);
    const { status, body } = await asked;
    expect([status, await new Response(body).text(), requests.open]).toEqual([200, "abc", 0]);
  });

  test("give credit for what of the body was read, and say when the rest is not wanted", async () => {
    const outbox = createOutbox();
    const requests = createRequests(outbox);
    const asked = requests.send("fetch", {}) as Promise<{ body: ReadableStream<Uint8Array> }>;
    requests.answer(1, '{"status":200,"body":true}');
    for (const text of ["abc", "de"]) requests.answerChunk(1, Buffer.from(text));
    const reader = (await asked).body.getReader();
    await reader.read();
    const said = () => hear(outbox).map(({ op, id, rest }) => [op, id, rest]);
    expect(said().slice(1)).toEqual([[OUT.answerCredit, 1, "3"]]);
    await reader.cancel();
    expect([said(), requests.open]).toEqual([[[OUT.answerCredit, 1, "-1"]], 0]);
    requests.answerChunk(1, Buffer.from("late"));
    requests.answerChunk(1, undefined);
    expect(said()).toEqual([]);
  });

  test("are given up by their signal, before the answer or in its body (invariant 2)", async () => {
    const outbox = createOutbox();
    const requests = createRequests(outbox);
    const abort = new AbortController();
    const early = requests.send("fetch", {}, abort.signal).catch((error: unknown) => error);
    const late = requests.send("fetch", {}, abort.signal) as Promise<{ body: ReadableStream }>;
    const whole = requests.send("fetch", {}, abort.signal) as Promise<{ body: null }>;
    requests.answer(2, '{"status":200,"body":true}');
    requests.answer(3, '{"status":204,"body":false}');
    const reading = (await late).body.getReader().read();
    expect(await whole).toEqual({ status: 204, body: null });
    abort.abort("enough");
    expect([await early, await reading.catch((error: unknown) => error)]).toEqual([
      "enough",
      "enough",
    ]);
    const gone = hear(outbox).filter(({ op }) => op === OUT.answerCredit);
    expect(gone.map(({ id, rest }) => [id, rest])).toEqual([
      [1, "-1"],
      [2, "-1"],
    ]);
    expect(requests.open).toBe(0);
  });

  test("that are refused throw Solo's error, which passed on is a reply and no crash", async () => {
    const requests = createRequests(createOutbox());
    const asked = requests.send("kv.put", []);
    requests.refuse(1, '{"code":"payload_too_large","detail":"Too large.","hint":"Split it."}');
    const error = (await asked.catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({
      name: "SoloError",
      message: "Too large.",
      code: "payload_too_large",
      hint: "Split it.",
    });
    expect(refusalOf(error)).toMatchObject({ code: "payload_too_large" });
    const around = new TypeError("fetch failed", { cause: error });
    expect(refusalOf(around)).toMatchObject({ code: "payload_too_large" });
    expect(refusalOf(Object.assign(new Error("x"), { code: "payload_too_large" }))).toBeUndefined();
  });

  test("are bounded, and answers to what was not asked are ignored", async () => {
    const requests = createRequests(createOutbox());
    const asked = Array.from({ length: 5000 }, () =>
      requests.send("kv.get", []).catch((error: unknown) => error),
    );
    expect(requests.open).toBe(4096);
    expect(await asked.at(-1)).toMatchObject({ code: "limit_exceeded" });
    requests.answer(999_999, "1");
    requests.refuse(999_999, '{"code":"internal","detail":""}');
    requests.answerChunk(999_999, undefined);
    expect(requests.open).toBe(4096);
  });
});

describe("timers", () => {
  test("fire while they are set; once, unless they repeat", () => {
    const timers = createTimers(createOutbox(), () => {});
    const fired: string[] = [];
    const once = timers.start(5, false, () => void fired.push("once"));
    const every = timers.start(5, true, () => void fired.push("every"));
    for (const id of [once, once, every, every]) timers.fire(id);
    timers.stop(every);
    timers.fire(every);
    expect(fired).toEqual(["once", "every", "every"]);
    expect(timers.active).toBe(0);
  });

  test("that the host cannot hear of are refused, not silently lost", () => {
    const outbox = createOutbox();
    const timers = createTimers(outbox, () => {});
    while (outbox.add(OUT.request, 1, "")) continue;
    expect(() => timers.start(1, false, () => {})).toThrow(DOMException);
    hear(outbox);
    expect(timers.start(1, false, () => {})).toBeGreaterThan(0);
  });

  test("are bounded in number, and what they throw is told", () => {
    const thrown: unknown[] = [];
    const outbox = createOutbox();
    const timers = createTimers(outbox, (error) => void thrown.push(error));
    const bad = timers.start(1, false, () => {
      throw new RangeError("bad");
    });
    timers.fire(bad);
    expect(thrown).toMatchObject([{ message: "bad" }]);
    for (let n = 0; n < 10_000; n += 1) timers.start(1, false, () => {});
    expect(() => timers.start(1, false, () => {})).toThrow(DOMException);
  });
});
