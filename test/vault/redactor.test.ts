import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactor } from "#vault/redactor.ts";
import { formsOf } from "#vault/secret-forms.ts";

const utf8 = (text: string) => Buffer.from(text);
const named = (...values: Uint8Array[]) => values.map((value) => ({ name: "k", value }));
const one = (value: string) => redactor(named(utf8(value)));
const MARK = "[secret:k]";

describe("a secret value in text", () => {
  const value = 'pass"word/ü+1\n';
  const base64 = utf8(value).toString("base64");
  test.each([
    ["literal", value],
    ["trimmed", value.trim()],
    ["in JSON", JSON.stringify({ value })],
    ["in a URL", `https://x/?k=${encodeURIComponent(value)}`],
    ["base64", base64],
    ["base64url", utf8(value).toString("base64url")],
    ["hex", utf8(value).toString("hex")],
    ["upper-case hex", utf8(value).toString("hex").toUpperCase()],
    ["basic authentication", utf8(`user:${value}`).toString("base64")],
    ["in the middle of base64", utf8(`ab${value}cd`).toString("base64")],
    ["in JSON within JSON", JSON.stringify({ body: JSON.stringify({ value }) })],
    ["in a form", new URLSearchParams({ value }).toString()],
    ["in a URL with small letters", "pass%22word%2f%c3%bc%2b1%0a"],
    ["in HTML", `<p>${value.replace('"', "&quot;")}</p>`],
    ["as a list of bytes", JSON.stringify([...utf8(value)])],
    ["as a buffer in JSON", JSON.stringify(utf8(value))],
    ["as an array of bytes in JSON", JSON.stringify(new Uint8Array(utf8(value)))],
    ["as an array of bytes on a console", inspect(new Uint8Array(utf8(value)))],
    ["as a buffer on a console", inspect(utf8(value))],
    ["as an ArrayBuffer on a console", inspect(new Uint8Array(utf8(value)).buffer)],
    ["said in two pieces", `${value.slice(0, 5)} ${value.slice(5)}`],
    ["wrapped by a terminal", value.replace("word", "w\n   ord")],
    ["wrapped base64 in JSON", JSON.stringify(base64.replace(/.{8}/g, "$&\n"))],
  ])("is covered: %s", (_, text) => {
    const covered = one(value).redact(`before ${text} after`);
    expect(covered).toMatch(/^before .*\[secret:k\].*\s?after$/s);
    for (const form of formsOf(utf8(value))) expect(covered).not.toContain(form);
  });

  test("of several lines is covered line by line, as logs carry it", () => {
    const pem =
      "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nsecondlineofkey==\n-----END KEY-----\n";
    expect(one(pem).redact("key: MIIEvQIBADANBgkqhkiG9w0")).toBe(`key: ${MARK}`);
  });

  test("is covered wherever values overlap or touch", () => {
    const both = redactor(named(utf8("abcdef"), utf8("defghi")));
    expect(both.redact("xabcdefghix")).toBe(`x${MARK}x`);
    expect(one("abab").redact("ababab")).toBe(MARK);
  });

  test("text without one is the same text; values too short to tell from words are left", () => {
    expect(one("s3cret").redact("nothing here")).toBe("nothing here");
    expect(one("abc").redact("abc")).toBe("abc");
    expect(redactor([]).redact("abc")).toBe("abc");
  });

  test("is covered when it is no text at all", () => {
    const bytes = Buffer.from([0xff, 0x00, 0x80, 0xc3, 0x28]);
    expect(redactor(named(bytes)).redact(`x${bytes.toString("base64").slice(0, 6)}x`)).toBe(
      `x${MARK}x`,
    );
    expect(redactor(named(bytes)).redact(bytes.toString("hex"))).toBe(MARK);
  });
});

test("of a value that a console shows the beginning of, what is shown is covered", () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37 + 11) % 256));
  const net = redactor(named(bytes));
  const list = net.redact(inspect(new Uint8Array(bytes)));
  expect(list).toContain(MARK);
  expect(list).not.toMatch(/\b11,\s+48,/);
  expect(net.redact(inspect(bytes))).toMatch(/^<Buffer \[secret:k\] ?\.\.\. 250 more bytes>$/);
});

test("white space is no hiding place, wherever it stands", () => {
  const secret = fc.string({
    unit: fc.constantFrom("a", "b", "-", "7"),
    minLength: 8,
    maxLength: 20,
  });
  const gap = fc.constantFrom("", "", " ", "\n", "\t  ", "\\n", "\r\n");
  fc.assert(
    fc.property(secret, fc.array(gap, { minLength: 20, maxLength: 20 }), (value, gaps) => {
      const said = value.replace(/./g, (each, at: number) => each + gaps[at]!);
      expect(one(value).redact(`x=${said}`)).toMatch(/^x=\[secret:k\](?:\s|\\n)*$/);
    }),
    { numRuns: 500 },
  );
});

test("a text made to take long is covered from where it did", () => {
  const net = one("a".repeat(20_000));
  for (const text of ["a".repeat(65_536), "a ".repeat(32_768), "\\".repeat(65_536)]) {
    net.redact(text);
    const stream = net.stream();
    stream.push(text);
    stream.end();
  }
  expect(net.redact(`${"a".repeat(65_000)} b`)).toBe(MARK);
});

const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 4, maxLength: 8 });
const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "x"), maxLength: 60 });

test("no form is left in any text, and what lies between is untouched", () => {
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 3 }), text, (values, input) => {
      const forms = values.flatMap((value) => formsOf(utf8(value)));
      const isCovered = Array.from({ length: input.length }, (_, at) =>
        forms.some((form) =>
          Array.from({ length: form.length }, (__, back) => at - back).some(
            (from) => from >= 0 && input.startsWith(form, from),
          ),
        ),
      );
      const left = input
        .split("")
        .filter((_, at) => !isCovered[at])
        .join("");
      const covered = redactor(named(...values.map(utf8))).redact(input);
      expect(covered.replaceAll(MARK, "")).toBe(left);
      for (const form of forms) expect(covered.replaceAll(MARK, "\n")).not.toContain(form);
    }),
    { numRuns: 2_000 },
  );
});

test("text in pieces comes out as the whole would, with marks where marks belong", () => {
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 3 }),
      fc.array(text, { maxLength: 6 }),
      (values, pieces) => {
        const net = redactor(named(...values.map(utf8)));
        const stream = net.stream();
        const out = pieces.map((piece) => stream.push(piece)).join("") + stream.end();
        const single = (marked: string) => marked.replace(/(?:\[secret:k\])+/g, MARK);
        expect(single(out)).toBe(single(net.redact(pieces.join(""))));
      },
    ),
    { numRuns: 2_000 },
  );
});
