import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_WAITING, RequestWindow } from "#cell/request-window.ts";

const MAX_IN_FLIGHT = 512;

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
