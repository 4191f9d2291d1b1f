/** logs.db (src/storage/log-file.ts). */
import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LogFile } from "#storage/log-file.ts";

test("of a service that was removed nothing stays, and its name begins anew", () => {
  const dir = mkdtempSync(join(tmpdir(), "solo-log-file-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "logs.db");
  const file = new LogFile({ path, linesPerService: 10 });
  onTestFinished(() => file.close());
  const line = (seq: number, service: string) => [seq, "t", service, 0, "info", "i", "said"];
  const texts = (service: string) =>
    file.read({ tenant: "t", service, limit: 10 }).map(({ seq }) => seq);
  file.append([{ fields: [...line(1, "a"), ...line(2, "b"), ...line(3, "a")] }]);
  file.remove({ tenant: "t", service: "a" });
  file.remove({ tenant: "t", service: "never-there" });
  const other = new DatabaseSync(path);
  const known = other.prepare("SELECT service FROM services").all();
  other.close();
  expect(known).toEqual([{ service: "b" }]);
  file.append([{ fields: [...line(4, "a"), ...line(5, "b")] }]);
  expect([texts("a"), texts("b")]).toEqual([[4], [2, 5]]);
});

test("a log that is longer than it may be loses its oldest lines, and both sizes are told", () => {
  const dir = mkdtempSync(join(tmpdir(), "solo-log-file-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = new LogFile({ path: join(dir, "logs.db"), linesPerService: 100 });
  onTestFinished(() => file.close());
  const key = { tenant: "t", service: "a" };
  const lines = (service: string, first: number) =>
    Array.from({ length: 10 }, (_, i) => [first + i, "t", service, 0, "info", "i", "ten chars."]);
  file.append([{ fields: [...lines("a", 1), ...lines("b", 11)].flat() }]);
  const trim = (maxChars: number, keepChars: number) => file.trim({ ...key, maxChars, keepChars });
  expect(trim(100, 50)).toEqual({ hadChars: 100, keptChars: 100 });
  expect(trim(99, 50)).toEqual({ hadChars: 100, keptChars: 50 });
  expect(file.read({ ...key, limit: 10 }).map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10]);
  expect(file.read({ tenant: "t", service: "b", limit: 20 })).toHaveLength(10);
  expect(trim(10, 5)).toEqual({ hadChars: 50, keptChars: 0 });
  expect(trim(10, 5)).toEqual({ hadChars: 0, keptChars: 0 });
});
