import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_WAITING, RequestWindow } from "#cell/request-window.ts";
import { Asked } from "#kernel/services/instance/asked.ts";
import { REQUEST_WINDOW } from "#wire/messages.ts";

const MAX_IN_FLIGHT = REQUEST_WINDOW.requests;

test("requests leave in their order, never too many at a time, and all of them in the end", () => {
  const steps = fc.array(
    fc.oneof(fc.record({ ask: fc.nat(2000) }), fc.record({ answer: fc.nat(2000) })),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(steps, (given) => {
      const sent: number[] = [];
      const window = new RequestWindow((id) => void sent.push(id));
      let asked = 0;
      let answered = 0;
      for (const step of given) {
        if ("ask" in step)
          for (let i = 0; i < step.ask; i += 1) if (window.ask(asked, "text")) asked += 1;
        if ("answer" in step)
          for (let i = 0; i < step.answer && answered < sent.length; i += 1)
            window.answered(sent[answered++]!);
        expect(sent.length - answered).toBeLessThanOrEqual(MAX_IN_FLIGHT);
      }
      while (answered < sent.length) window.answered(sent[answered++]!);
      expect(sent).toEqual(Array.from({ length: asked }, (_, index) => index));
    }),
  );
});

test("beyond the bound a request is refused, and taken again once there is room", () => {
  const sent: number[] = [];
  const window = new RequestWindow((id) => void sent.push(id));
  let id = 0;
  while (window.ask(id, "text")) id += 1;
  expect(id).toBe(MAX_IN_FLIGHT + MAX_WAITING);
  window.answered(sent[0]!);
  expect(window.ask(id, "text")).toBe(true);
  expect(window.ask(id + 1, "text")).toBe(false);
});

test("an answer that was not asked for changes nothing", () => {
  const sent: number[] = [];
  const window = new RequestWindow((id) => void sent.push(id));
  for (let id = 0; id < MAX_IN_FLIGHT + 1; id += 1) window.ask(id, "text");
  window.answered(99_999);
  expect(sent).toHaveLength(MAX_IN_FLIGHT);
});

test("the kernel takes what the window lets through, whatever its sizes and the order of answers", () => {
  const steps = fc.array(
    fc.record({
      chars: fc.oneof(fc.nat(1000), fc.nat(REQUEST_WINDOW.chars * 1.5)),
      answer: fc.nat(),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (given) => {
      const asked = new Asked();
      const open: number[] = [];
      let sent = 0;
      const window = new RequestWindow((id, { length }) => {
        expect(asked.begin(id, length)).toBe(true);
        open.push(id);
        sent += 1;
      });
      const answer = (at: number) => {
        const [id] = open.splice(at % open.length, 1);
        asked.answered(id!);
        window.answered(id!);
      };
      const texts = new Map<number, string>();
      const text = (chars: number) =>
        texts.get(chars) ?? texts.set(chars, "x".repeat(chars)).get(chars)!;
      let taken = 0;
      for (const [id, step] of given.entries()) {
        if (window.ask(id, text(step.chars))) taken += 1;
        if (step.answer % 2 === 0 && open.length > 0) answer(step.answer);
      }
      while (open.length > 0) answer(0);
      expect(sent).toBe(taken);
    }),
    { numRuns: 50 },
  );
});

test("a second request under an id that has no answer yet is known as such", () => {
  const window = new RequestWindow(() => {});
  for (let id = 0; id <= MAX_IN_FLIGHT; id += 1) window.ask(id, "text");
  expect([0, MAX_IN_FLIGHT, MAX_IN_FLIGHT + 1].map((id) => window.isOpen(id))).toEqual([
    true,
    true,
    false,
  ]);
  window.answered(0);
  expect(window.isOpen(0)).toBe(false);
});
