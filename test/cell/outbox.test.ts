/** Lines across the wall, and the outbox they wait in (src/cell/guest/lines.ts, outbox.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OUT, splitLine } from "#cell/guest/lines.ts";
import { createOutbox } from "#cell/guest/outbox.ts";
import { MAX_FRAME_BYTES } from "#wire/frame.ts";
import { readExcess } from "#wire/from-cell.ts";
import { LOG_LINES_PER_TURN } from "#wire/messages.ts";
import { hasBytes, hear, linesOf } from "./support.ts";

const MIB = 1024 * 1024;

describe("a line", () => {
  test("is split into what it was made of", () => {
    const id = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(OUT)), id, fc.string(), (op, at, rest) => {
        const text = rest.replaceAll("\n", "");
        expect(splitLine(text === "" ? `${op} ${at}` : `${op} ${at} ${text}`)).toEqual({
          op,
          id: at,
          rest: text,
        });
      }),
    );
  });

  test("of another form is refused", () => {
    for (const line of [
      "R",
      "R1",
      "RR 1",
      "R x",
      "R -1",
      "R 1.5",
      "R 4294967296",
      "R 1x rest",
      "",
    ]) {
      expect(splitLine(line), JSON.stringify(line)).toBeUndefined();
    }
  });
});

type Step =
  | { readonly do: "add"; readonly rest: string }
  | { readonly do: "bytes"; readonly size: number }
  | { readonly do: "turn" | "lost" };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("add" as const),
      rest: fc.stringMatching(/^[a-z]{0,9}$/),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("bytes" as const),
      size: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "turn" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "lost" as const }) },
);

test("whatever is said is heard once and in order, also when a turn's return is lost (invariant 2)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const outbox = createOutbox();
      const said: string[] = [];
      const heard: string[] = [];
      let acknowledged = false;
      for (const [n, each] of [...steps, { do: "turn" } as const].entries()) {
        if (each.do === "add") {
          said.push(`R ${n} ${each.rest}`.trim());
          outbox.add(OUT.reply, n, each.rest);
        } else if (each.do === "bytes") {
          said.push(`b ${n} (${each.size} bytes)`);
          outbox.addBytes(OUT.chunk, n, new Uint8Array(each.size));
        } else {
          if (acknowledged) outbox.acknowledge();
          acknowledged = each.do === "turn";
          const rendered = outbox.render();
          if (!acknowledged) continue;
          // Said by a continuation after the turn has returned: for the next one.
          said.push(`b ${n} (10 bytes)`);
          outbox.addBytes(OUT.chunk, n, new Uint8Array(10));
          const chunks = hasBytes(rendered) ? outbox.takeBytes() : [];
          for (const { op, id, rest } of linesOf(rendered)) {
            heard.push(
              op === OUT.chunk
                ? `b ${id} (${chunks.shift()?.length} bytes)`
                : `R ${id} ${rest}`.trim(),
            );
          }
          expect(chunks).toEqual([]);
        }
      }
      expect(heard).toEqual(said.slice(0, -1));
    }),
  );
});

describe("the bounds", () => {
  test("a flood of lines is refused, and there is room again once they are heard (invariant 1)", () => {
    const outbox = createOutbox();
    let taken = 0;
    while (outbox.add(OUT.request, 1, "x")) taken += 1;
    expect(taken).toBe(20_000);
    hear(outbox);
    expect(outbox.add(OUT.request, 1, "x")).toBe(true);
  });

  test("of the log a turn says so much, and how many lines were dropped (invariant 1)", () => {
    const counts = fc.array(fc.nat({ max: 3 * LOG_LINES_PER_TURN }), { maxLength: 8 });
    fc.assert(
      fc.property(counts, (turns) => {
        const outbox = createOutbox();
        let heard = 0;
        let dropped = 0;
        const listen = () => {
          const lines = linesOf(outbox.render());
          const logged = lines.filter(({ op }) => op === OUT.log).length;
          expect(logged).toBeLessThanOrEqual(LOG_LINES_PER_TURN);
          heard += logged;
          for (const { op, rest } of lines) {
            if (op !== OUT.excess) continue;
            const { what, value } = readExcess(rest);
            expect(what).toBe("log_lines");
            dropped += value;
          }
        };
        for (const count of turns) {
          for (let i = 0; i < count; i += 1) outbox.add(OUT.log, 0, "x");
          listen();
          outbox.add(OUT.log, 0, "by a continuation");
          outbox.acknowledge();
        }
        listen();
        expect(heard + dropped).toBe(turns.reduce((sum, count) => sum + count + 1, 0));
      }),
      { numRuns: 20 },
    );
  });

  test("a flood of text or of bytes is refused", () => {
    const text = createOutbox();
    const bytes = createOutbox();
    let texts = 0;
    let chunks = 0;
    while (text.add(OUT.log, 0, "x".repeat(MIB))) texts += 1;
    while (bytes.addBytes(OUT.chunk, 1, new Uint8Array(MIB))) chunks += 1;
    expect([texts, chunks]).toEqual([12, 12]);
  });

  test("bytes said after a turn still count once that turn is acknowledged", () => {
    const outbox = createOutbox();
    outbox.add(OUT.log, 0, "x");
    outbox.render();
    for (let n = 0; n < 12; n += 1) outbox.addBytes(OUT.chunk, 1, new Uint8Array(MIB));
    outbox.acknowledge();
    expect(outbox.addBytes(OUT.chunk, 1, new Uint8Array(MIB))).toBe(false);
  });

  test("how a message ended is said, however much else was (invariant 1)", () => {
    const outbox = createOutbox();
    while (outbox.add(OUT.log, 0, "")) continue;
    while (outbox.add(OUT.startTimer, 0, "")) continue;
    while (outbox.add(OUT.request, 0, "x".repeat(MIB))) continue;
    for (const op of [
      OUT.reply,
      OUT.failed,
      OUT.head,
      OUT.end,
      OUT.crashed,
      OUT.unstarted,
      OUT.state,
      OUT.started,
      OUT.terminated,
    ]) {
      expect(outbox.add(op, 1, "x".repeat(1000)), op).toBe(true);
    }
  });

  test("no line is longer than a frame can carry in UTF-8", () => {
    const outbox = createOutbox();
    let size = MIB;
    while (outbox.add(OUT.reply, 1, "€".repeat(size))) {
      hear(outbox);
      size += MIB;
    }
    expect(Buffer.byteLength("€") * (size - MIB)).toBeLessThan(MAX_FRAME_BYTES);
    expect(size).toBeGreaterThan(8 * MIB);
  });
});
