/** Answers with a body on their way to a guest (src/kernel/services/host/answers.ts). */
import { setImmediate as settle } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { Answers } from "#kernel/services/host/answers.ts";
import { WINDOW_BYTES } from "#kernel/services/messages/exchange.ts";

function setUp() {
  const said: string[] = [];
  let bytes = 0;
  const answers = new Answers({
    answer: (id, text) => void said.push(`${id} ${text}`),
    body: (id, piece) => {
      if (piece === "") said.push(`${id} end`);
      else bytes += piece.length;
    },
  });
  return { answers, said, sent: () => bytes };
}

async function* pieces(sizes: readonly number[], ended?: () => void) {
  try {
    for (const size of sizes) yield new Uint8Array(size);
  } finally {
    ended?.();
  }
}

test("a head, the body as far as the guest takes it, an end", async () => {
  const { answers, said, sent } = setUp();
  const done = answers.begin(7).respond({ status: 200 }, pieces([WINDOW_BYTES, 10, 20]));
  await settle();
  expect([said, sent()]).toEqual([['7 +{"status":200,"body":true}'], WINDOW_BYTES]);
  answers.credit(7, 12);
  await settle();
  expect(sent()).toBe(WINDOW_BYTES + 10);
  answers.credit(7, WINDOW_BYTES);
  await done;
  expect([sent(), said[1], answers.open]).toEqual([WINDOW_BYTES + 30, "7 end", 0]);
});

test("never more is on the way than the window, whatever credit a guest claims (invariant 1)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat({ max: 2 ** 40 }), fc.constantFrom(Number.NaN, Infinity)), {
        maxLength: 10,
      }),
      async (claims) => {
        const { answers, sent } = setUp();
        const sizes = Array.from({ length: 200 }, () => 50_000);
        const done = answers.begin(1).respond({}, pieces(sizes));
        await settle();
        for (const claim of claims) {
          const before = sent();
          answers.credit(1, Number(String(claim)) || 0);
          await settle();
          expect(sent() - before).toBeLessThanOrEqual(WINDOW_BYTES);
        }
        answers.end(new SoloError("service_not_running", "Gone."));
        await done;
      },
    ),
    { numRuns: 30 },
  );
});

test("a guest that gives up, or an end, stops who makes the answer, at once (invariant 2)", async () => {
  for (const stop of [
    (answers: Answers) => answers.credit(3, -1),
    (answers: Answers) => answers.end(new SoloError("service_not_running", "Gone.")),
  ]) {
    const { answers, said } = setUp();
    let stopped = 0;
    const answer = answers.begin(3);
    const done = answer.respond(
      {},
      pieces([WINDOW_BYTES, 1, 1], () => void (stopped += 1)),
    );
    await settle();
    stop(answers);
    await done;
    expect([stopped, answer.signal.aborted, answers.open, said.length]).toEqual([1, true, 0, 1]);
  }
});

test("what begins after the end is over at once, and a credit for nothing is nothing", () => {
  const { answers } = setUp();
  answers.credit(9, 5);
  answers.credit(9, -1);
  answers.end(new SoloError("service_not_running", "Gone."));
  expect([answers.begin(9).signal.aborted, answers.open]).toEqual([true, 0]);
});

test("an id that is used again gives up what it stood for, and nothing else", async () => {
  const { answers } = setUp();
  const first = answers.begin(4);
  const second = answers.begin(4);
  expect([first.signal.aborted, second.signal.aborted, answers.open]).toEqual([true, false, 1]);
  first.refuse(new SoloError("cancelled", "Late."));
  expect(answers.open).toBe(1);
  answers.end(new SoloError("service_not_running", "Gone."));
  expect([second.signal.aborted, answers.open]).toEqual([true, 0]);
});

test("a body that breaks off is told as such", async () => {
  const { answers, said } = setUp();
  async function* broken() {
    yield new Uint8Array(1);
    throw new SoloError("egress_failed", "Torn.");
  }
  await answers.begin(2).respond({}, broken());
  expect(said.at(-1)).toMatch(/^2 -\{"code":"egress_failed","detail":"Torn\."/);
});
