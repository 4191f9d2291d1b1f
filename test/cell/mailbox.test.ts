/** The guest's end of its mailbox (src/cell/guest/mailbox.ts). */
import { setImmediate as settle } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IN, OUT } from "#cell/guest/lines.ts";
import type { ServiceDefinition } from "../../src/sdk/index.ts";
import { ServiceError } from "../../src/sdk/index.ts";
import { guest } from "./support.ts";

const call = (name: string, ...args: unknown[]): string => JSON.stringify([name, args]);

/** A service whose handlers end when the test says so. */
function gated(options: { concurrent?: boolean } = {}) {
  const begun: number[] = [];
  const gates = new Map<number, PromiseWithResolvers<unknown>>();
  const definition: ServiceDefinition = {
    ...options,
    calls: {
      wait(_: unknown, n: number) {
        begun.push(n);
        const gate = Promise.withResolvers<unknown>();
        gates.set(n, gate);
        return gate.promise;
      },
    },
  };
  return { definition, begun, gates };
}

test("one message at a time, in the order of arrival, sync or not (invariant 1)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 15 }), async (kinds) => {
      const order: string[] = [];
      let inside = 0;
      const handle = async (n: number) => {
        expect((inside += 1)).toBe(1);
        order.push(`begin ${n}`);
        await settle();
        order.push(`end ${n}`);
        inside -= 1;
      };
      const { mailbox, said } = guest({
        calls: { slow: (_: unknown, n: number) => handle(n) },
        casts: { quick: (_: unknown, n: number) => void order.push(`begin ${n}`, `end ${n}`) },
      });
      for (const [n, slow] of kinds.entries()) {
        if (slow) mailbox.push(IN.call, n + 1, call("slow", n));
        else mailbox.push(IN.cast, n + 1, call("quick", n));
      }
      for (let turn = 0; turn <= kinds.length * 2; turn += 1) await settle();
      expect(order).toEqual(kinds.flatMap((_, n) => [`begin ${n}`, `end ${n}`]));
      expect(said()).toEqual(kinds.map((_, n) => `R ${n + 1}`));
    }),
    { numRuns: 40 },
  );
});

describe("concurrent services", () => {
  test("begin everything at once and answer in the order in which it ends", async () => {
    const { definition, begun, gates } = gated({ concurrent: true });
    const { mailbox, said } = guest(definition);
    for (const n of [1, 2, 3]) mailbox.push(IN.call, n, call("wait", n));
    expect(begun).toEqual([1, 2, 3]);
    expect(mailbox.pending).toBe(3);
    for (const n of [2, 3, 1]) {
      gates.get(n)!.resolve(n);
      await settle();
    }
    expect(said()).toEqual(["R 2", "R 3", "R 1"]);
    expect(mailbox.pending).toBe(0);
  });

  test("end with the crash of any one of them; what had not begun is handed back", async () => {
    const { definition, gates } = gated({ concurrent: true });
    const { mailbox, said } = guest(definition);
    for (const n of [1, 2]) mailbox.push(IN.call, n, call("wait", n));
    gates.get(1)!.reject(new Error("bad"));
    await settle();
    gates.get(2)!.resolve(2);
    await settle();
    mailbox.push(IN.call, 3, call("wait", 3));
    expect(said()).toEqual(["C 1", "w 3"]);
  });
});

describe("an ending", () => {
  test("of every kind comes exactly once for each message (invariant 2)", async () => {
    const { mailbox, hear } = guest({
      calls: {
        value: () => ({ a: 1 }),
        nothing: () => undefined,
        later: async () => "late",
        refuse: () => {
          throw new ServiceError("no_money", "Too poor.");
        },
        unserializable: () => 1n,
      },
      info: () => "ignored",
    });
    const names = ["value", "nothing", "later", "refuse", "missing"];
    for (const [n, name] of names.entries()) mailbox.push(IN.call, n + 1, call(name));
    mailbox.push(IN.info, 6, "null");
    await settle();
    const [value, nothing, later, refuse, missing, info, ...more] = hear();
    expect([value!.rest, nothing!.rest, later!.rest, info!.rest]).toEqual([
      '{"a":1}',
      "null",
      '"late"',
      "",
    ]);
    expect(JSON.parse(refuse!.rest)).toEqual({
      code: "service_error",
      detail: "Too poor.",
      service_code: "no_money",
    });
    expect(JSON.parse(missing!.rest)).toMatchObject({ code: "handler_not_found" });
    expect(more).toEqual([]);
    mailbox.push(IN.call, 7, call("unserializable"));
    expect(hear()).toMatchObject([{ op: "C", id: 7 }]);
  });

  test("of a name that only a prototype has is not found", () => {
    const { mailbox, hear } = guest({ calls: {} });
    for (const name of ["toString", "__proto__", "constructor"])
      mailbox.push(IN.call, 1, call(name));
    for (const { rest } of hear())
      expect(JSON.parse(rest)).toMatchObject({ code: "handler_not_found" });
  });

  test("by an exception is a crash: nothing runs after it, and it is said what never began (invariant 3)", async () => {
    const { definition, begun, gates } = gated();
    const { mailbox, hear } = guest(definition);
    for (const n of [1, 2, 3]) mailbox.push(IN.call, n, call("wait", n));
    gates.get(1)!.reject(new TypeError("bad"));
    await settle();
    const [crash, ...unstarted] = hear();
    expect(crash).toMatchObject({ op: "C", id: 1 });
    expect(JSON.parse(crash!.rest)).toMatchObject({ name: "TypeError", message: "bad" });
    expect(unstarted.map(({ op, id }) => [op, id])).toEqual([
      ["w", 2],
      ["w", 3],
    ]);
    expect(begun).toEqual([1]);
    mailbox.crash(new Error("again"));
    expect(hear()).toEqual([]);
  });

  test("that is larger than may be said is an error for the caller, not silence", () => {
    const { mailbox, hear } = guest({ calls: { large: () => "x".repeat(17 * 1024 * 1024) } });
    mailbox.push(IN.call, 1, call("large"));
    const [said] = hear();
    expect(JSON.parse(said!.rest)).toMatchObject({ code: "payload_too_large" });
  });

  test("is said although the handler filled the outbox with logs", () => {
    const filled = guest({ calls: { chatty: () => "done" } }, () => {
      while (filled.outbox.add("l", 0, "x")) continue;
      while (filled.outbox.add("T", 0, "1 0")) continue;
    });
    filled.mailbox.push(IN.call, 1, call("chatty"));
    expect(filled.hear()).toContainEqual({ op: "R", id: 1, rest: '"done"' });
  });

  test("waits for what comes before a reply; when that throws, the message is a crash", () => {
    const order: string[] = [];
    const { mailbox, said } = guest({ calls: { a: () => void order.push("a") } }, () => {
      order.push("settled");
      if (order.length > 2) throw new Error("The state cannot be kept.");
    });
    mailbox.push(IN.call, 1, call("a"));
    mailbox.push(IN.call, 2, call("a"));
    expect(order).toEqual(["a", "settled", "a", "settled"]);
    expect(said()).toEqual(["R 1", "C 2"]);
  });
});

describe("cancelling", () => {
  test("a message that waits ends it at once; it never begins", async () => {
    const { definition, begun, gates } = gated();
    const { mailbox, said } = guest(definition);
    for (const n of [1, 2, 3]) mailbox.push(IN.call, n, call("wait", n));
    mailbox.cancel(2);
    expect(said()).toEqual(["F 2"]);
    gates.get(1)!.resolve(1);
    await settle();
    expect(begun).toEqual([1, 3]);
  });

  test("a message that runs aborts its signal and lets it end by itself", async () => {
    const { definition, gates } = gated();
    const { mailbox, said } = guest(definition);
    mailbox.push(IN.call, 1, call("wait", 1));
    const { signal } = mailbox;
    expect(signal.aborted).toBe(false);
    mailbox.cancel(1);
    expect(signal.aborted).toBe(true);
    gates.get(1)!.resolve("anyway");
    await settle();
    expect(said()).toEqual(["R 1"]);
  });

  test("what is not there does nothing", () => {
    const { mailbox, said } = guest({ calls: {} });
    mailbox.cancel(99);
    expect(said()).toEqual([]);
  });
});

describe("fetch", () => {
  const request = JSON.stringify({ method: "GET", url: "http://s/", headers: [], body: false });

  test("that throws is an answer and a log line, and the service lives on", async () => {
    const { mailbox, hear } = guest({
      fetch: () => {
        throw new Error("bad");
      },
      calls: { alive: () => true },
    });
    mailbox.push(IN.fetch, 1, request);
    mailbox.push(IN.call, 2, call("alive"));
    await settle();
    const [log, failed, reply] = hear();
    expect(log).toMatchObject({ op: "l" });
    expect(JSON.parse(failed!.rest)).toMatchObject({
      code: "handler_failed",
      detail: "Error: bad",
    });
    expect(reply).toMatchObject({ op: "R", id: 2, rest: "true" });
  });

  test("must return a Response", async () => {
    const { mailbox, hear } = guest({ fetch: () => ({}) as Response });
    mailbox.push(IN.fetch, 1, request);
    await settle();
    expect(JSON.parse(hear().at(-1)!.rest)).toMatchObject({ code: "handler_failed" });
  });
});

describe("a reply that JSON does not hold is a crash that says so, not nothing", () => {
  test.each<[string, unknown, string]>([
    ["a function", () => 1, "The reply is a function, which JSON cannot hold."],
    ["a Map", new Map([[1, 2]]), "The reply is a Map, whose contents JSON does not hold: Object"],
    [
      "an error",
      new Error("no"),
      "The reply is an Error, whose contents JSON does not hold: throw",
    ],
    ["a response", new Response(""), "The reply is a Response, whose contents JSON does not hold"],
  ])("%s", (_, value, message) => {
    const { mailbox, hear } = guest({ calls: { get: () => value } });
    mailbox.push(IN.call, 1, call("get"));
    const [line] = hear();
    expect([line!.op, line!.id]).toEqual([OUT.crashed, 1]);
    expect(JSON.parse(line!.rest).message).toContain(message);
  });

  test("what has a form in JSON is a reply", () => {
    const reply = [new Date(0), { toJSON: () => 7 }, Object.create(null), [], undefined, 5];
    for (const value of reply) {
      const { mailbox, said } = guest({ calls: { get: () => value } });
      mailbox.push(IN.call, 1, call("get"));
      expect(said()).toEqual(["R 1"]);
    }
  });
});
