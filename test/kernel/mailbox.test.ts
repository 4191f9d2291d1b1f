/** What waits for an instance (src/kernel/services/messages/mailbox.ts), and one message (dispatch.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { Mailbox, MAX_WAITING_CHARS } from "#kernel/services/messages/mailbox.ts";
import { until } from "../support/until.ts";
import { message, type Sent } from "./support.ts";

const stopped = new SoloError("service_not_running", "Stopped.");
const codesOf = ({ ends }: Sent) => ends.map((end) => (end instanceof SoloError ? end.code : end));

function mailbox(limit: number, policy: "reject" | "drop_oldest" | "kill" = "reject") {
  const seen = { overflows: 0, withdrawn: 0, withdrawable: 0 };
  const box = new Mailbox({
    limit,
    policy,
    overflow: () => void (seen.overflows += 1),
    withdraw: () => {
      if (seen.withdrawable === 0) return false;
      seen.withdrawable -= 1;
      seen.withdrawn += 1;
      return true;
    },
  });
  return { box, seen };
}

type Step =
  | { readonly do: "push"; readonly cast: boolean; readonly occupied: number }
  | { readonly do: "shift" | "takeAll" }
  | { readonly do: "settle"; readonly at: number }
  | { readonly do: "unshift"; readonly count: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      cast: fc.boolean(),
      occupied: fc.nat(3),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "shift" as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("settle" as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unshift" as const), count: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ do: "takeAll" as const }) },
);

test.each(["reject", "drop_oldest", "kill"] as const)(
  "under %s it does what a plain list does",
  (policy) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(step, { maxLength: 60 }),
        (limit, steps) => {
          const { box, seen } = mailbox(limit, policy);
          let model: Sent[] = [];
          let overflows = 0;
          for (const each of steps) {
            if (each.do === "push") {
              const sent = message(each.cast ? "cast" : "call");
              while (model[0]?.dispatch.settled) model.shift();
              const isFull = model.length + each.occupied >= limit;
              const victim =
                policy === "drop_oldest" && isFull
                  ? model.find(({ dispatch }) => dispatch.kind === "cast")
                  : undefined;
              const wasSettled = victim?.dispatch.settled === true;
              box.push(sent.dispatch, each.occupied);
              if (isFull && victim === undefined) {
                expect(codesOf(sent)).toEqual(["mailbox_full"]);
                if (policy === "kill") overflows += 1;
              } else {
                model = [...model.filter((other) => other !== victim), sent];
                if (victim !== undefined && !wasSettled)
                  expect(codesOf(victim)).toEqual(["mailbox_full"]);
              }
            } else if (each.do === "shift") {
              while (model[0]?.dispatch.settled) model.shift();
              expect(box.shift()).toBe(model.shift()?.dispatch);
            } else if (each.do === "settle") {
              model[each.at]?.dispatch.fail(stopped);
            } else if (each.do === "unshift") {
              const back = Array.from({ length: each.count }, () => message());
              box.unshift(back.map(({ dispatch }) => dispatch));
              model = [...back, ...model];
            } else {
              expect(box.takeAll()).toEqual(
                model.filter(({ dispatch }) => !dispatch.settled).map(({ dispatch }) => dispatch),
              );
              model = [];
            }
            expect(box.length).toBe(model.length);
            expect(seen.overflows).toBe(overflows);
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

describe("the bounds", () => {
  test("what the instance has been given counts too", () => {
    const { box } = mailbox(10);
    const accepted = message();
    const refused = message();
    box.push(accepted.dispatch, 9);
    box.push(refused.dispatch, 9);
    expect([accepted.ends.length, codesOf(refused)]).toEqual([0, ["mailbox_full"]]);
  });

  test("messages hold a bounded amount of memory, whatever the limit on their number", () => {
    const { box } = mailbox(1_000_000, "drop_oldest");
    const text = "x".repeat(1024 * 1024);
    const sent = Array.from({ length: 40 }, () => message("cast", text));
    for (const { dispatch } of sent) box.push(dispatch, 0);
    expect(box.length * text.length).toBe(MAX_WAITING_CHARS);
    expect(codesOf(sent.at(-1)!)).toEqual(["mailbox_full"]);
    box.shift();
    const next = message("cast", text);
    box.push(next.dispatch, 0);
    expect(next.ends).toEqual([]);
  });

  test("the memory is free again, however the messages left", () => {
    const { box } = mailbox(2, "drop_oldest");
    const text = "x".repeat(MAX_WAITING_CHARS / 4);
    const large = () => {
      const sent = message("cast", text);
      box.push(sent.dispatch, 0);
      return sent;
    };
    for (let n = 0; n < 20; n += 1) large();
    box.takeAll();
    for (let n = 0; n < 20; n += 1) {
      large();
      const back = box.shift()!;
      box.unshift([back]);
      box.failAll(stopped);
    }
    expect(large().ends).toEqual([]);
  });

  test("drop_oldest first takes back what the instance has not begun", () => {
    const { box, seen } = mailbox(1, "drop_oldest");
    seen.withdrawable = 1;
    const [waits, comes, last] = [message("cast"), message("cast"), message("call")];
    box.push(waits.dispatch, 0);
    box.push(comes.dispatch, 1);
    expect([seen.withdrawn, waits.ends.length, comes.ends.length]).toEqual([1, 0, 0]);
    box.push(last.dispatch, 1);
    expect([codesOf(waits), last.ends.length]).toEqual([["mailbox_full"], 0]);
  });
});

describe("a dispatch", () => {
  test("ends exactly once, whatever is tried in whatever order (invariant 1)", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1 }), (replies) => {
        const sent = message();
        for (const [n, isReply] of replies.entries()) {
          if (isReply) sent.dispatch.reply(String(n));
          else sent.dispatch.fail(stopped);
        }
        expect(codesOf(sent)).toEqual([replies[0] ? "0" : "service_not_running"]);
        expect(sent.dispatch.settled).toBe(true);
      }),
    );
  });

  test("that has ended does not expire", async () => {
    const [early, late] = [message(), message()];
    const expired: Sent[] = [];
    for (const each of [early, late]) each.dispatch.expireAfter(1, () => void expired.push(each));
    early.dispatch.reply("");
    await until(() => expired.length > 0, "the other to expire");
    expect(expired).toEqual([late]);
  });
});
