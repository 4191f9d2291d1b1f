import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineSplitter } from "#client/lines.ts";
import { type SseFrame, SseParser } from "#client/sse.ts";

function split(chunks: readonly string[]): string[] {
  const splitter = new LineSplitter();
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()];
}

function frames(text: string): SseFrame[] {
  const parser = new SseParser();
  return split([text]).flatMap((line) => parser.push(line) ?? []);
}

/** `text` cut at arbitrary places. */
const cut = (text: string) =>
  fc
    .array(fc.nat(text.length), { maxLength: 8 })
    .map((at) => [0, ...at.toSorted((a, b) => a - b), text.length])
    .map((at) => at.slice(1).map((end, index) => text.slice(at[index], end)));

describe("lines", () => {
  test("are the same however the text is cut", () => {
    const texts = fc
      .array(fc.constantFrom("a", "b:", "\n", "\r", "\r\n", "é"), { maxLength: 30 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        texts.chain((text) => fc.tuple(fc.constant(text), cut(text))),
        ([text, chunks]) => {
          const expected = text.split(/\r\n|\n|\r/);
          if (expected.at(-1) === "") expected.pop();
          expect(split(chunks)).toEqual(expected);
        },
      ),
    );
  });

  test("have a longest length", () => {
    const splitter = new LineSplitter();
    const piece = "x".repeat(8 * 1024 * 1024);
    splitter.push(piece);
    splitter.push(piece);
    expect(() => splitter.push("x")).toThrow("longer");
  });
});

describe("server-sent events", () => {
  test("have an id, a name and data of several lines", () => {
    expect(frames("id: 7\nevent: crash\ndata: a\ndata:b\n\n")).toEqual([
      { id: "7", event: "crash", data: "a\nb" },
    ]);
  });

  test("are not made by comments, retries and ids alone", () => {
    expect(frames(": hello\n\nretry: 5\n\nid: 3\n\n")).toEqual([]);
  });

  test("do not inherit the id of the one before", () => {
    expect(frames("id: 1\ndata: a\n\ndata: b\n\n")).toEqual([
      { id: "1", data: "a" },
      { data: "b" },
    ]);
  });

  test("that the stream broke off in are dropped", () => {
    expect(frames("data: whole\n\ndata: half\n")).toEqual([{ data: "whole" }]);
  });
});
