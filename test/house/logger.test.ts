import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { createLogger, type LoggerOptions } from "#bin/logger.ts";

function logged(options: Partial<LoggerOptions> & { isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const stream = { isTTY: options.isTTY ?? false, write: (text: string) => lines.push(text) };
  const log = createLogger({ level: "info", format: "auto", color: false, ...options, stream });
  return { lines, log };
}

test("machines get one JSON object a line", () => {
  const { lines, log } = logged();
  log.info("Listening", { port: 8080 });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: "info", msg: "Listening", port: 8080 });
});

test("people on a terminal get one readable line", () => {
  const { lines, log } = logged({ isTTY: true });
  log.warn("Slow\nstart", { ms: 12, what: "cell" });
  expect(lines.join("")).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}Slow\\nstart ms=12 what=cell\n$/);
});

test("nothing that is logged can steer the terminal", () => {
  for (const color of [true, false]) {
    const { lines, log } = logged({ format: "pretty", color });
    log.error("\u001B]0;owned\u0007 \u001B[2J \u009B \r gone");
    const [text] = stripVTControlCharacters(lines.join("")).split("\n");
    expect(text).not.toMatch(/\p{Cc}/u);
    expect(text).toContain("\\u001b]0;owned\\u0007 \\u001b[2J \\u009b \\u000d gone");
  }
});

test("fields named like secrets are not written, in either form", () => {
  for (const format of ["json", "pretty"] as const) {
    const { lines, log } = logged({ format });
    log.info("Request", { authorization: "Bearer hunter2", token: "hunter2", secret: "hunter2" });
    expect(lines.join("")).not.toContain("hunter2");
    expect(lines.join("")).toContain("[redacted]");
  }
});

test("messages below the level are not written, and the level can change", () => {
  const { lines, log } = logged({ level: "warn" });
  log.info("no");
  log.setLevel("debug");
  log.debug("yes");
  log.setLevel("silent");
  log.error("no");
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["yes"]);
});
