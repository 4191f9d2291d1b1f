import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { GLOBALS } from "#cell/prelude/segments.ts";
import { Guest } from "./guest.ts";

const page = await readFile(new URL("../../../docs/globals.md", import.meta.url), "utf8");
const section = (title: string): string => page.split(`## ${title}`)[1]!.split("\n## ")[0]!;
const namesIn = (text: string): string[] =>
  [...text.matchAll(/`([A-Za-z.]+)`/g)].map(([, name]) => name!);

test("docs/globals.md lists every global, and nothing else", () => {
  const rows = section("What is there")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  const listed = rows.flatMap((row) => namesIn(row.split("|")[1]!));
  expect(listed.toSorted()).toEqual(
    [...Object.values(GLOBALS).flat(), "WebAssembly", "self"].toSorted(),
  );
});

test("what docs/globals.md calls missing is missing", async () => {
  using guest = await Guest.open();
  const names = namesIn(section("What is missing")).filter(
    (name) => !name.startsWith("performance") && name !== "measure",
  );
  expect(names.length).toBeGreaterThan(15);
  for (const name of names)
    expect(guest.evaluate(`typeof globalThis.${name}`), name).toBe("undefined");
});
