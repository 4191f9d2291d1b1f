/** Which file an import means (src/wire/modules.ts). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { importRefusal, resolveModule } from "#wire/modules.ts";

const names = ["a", "b", "index", "lib"];
const extensions = [".ts", ".js", ".mts", ".mjs", ".json"];
const path = fc
  .tuple(
    fc.array(fc.constantFrom(...names), { maxLength: 2 }),
    fc.constantFrom(...names),
    fc.constantFrom(...extensions),
  )
  .map(([folders, name, extension]) => [...folders, name + extension].join("/"));
const specifier = fc
  .tuple(
    fc.constantFrom("./", "../", "../../", "./../", "", "/"),
    fc.array(fc.constantFrom(...names, "..", "."), { maxLength: 3 }),
    fc.constantFrom("", ...extensions),
  )
  .map(([start, parts, extension]) => start + parts.join("/") + extension);

/** The folder's parts followed step by step; undefined when a step leaves the files. */
function naive(wanted: string, referrer: string, paths: ReadonlySet<string>): string | undefined {
  if (!wanted.startsWith("./") && !wanted.startsWith("../")) return undefined;
  const parts = referrer.split("/").slice(0, -1);
  for (const step of wanted.split("/")) {
    if (step === "..") {
      if (parts.pop() === undefined) return undefined;
    } else if (step !== ".") parts.push(step);
  }
  const base = parts.join("/");
  const tried = ["", ".ts", ".js", ".mjs", ".mts", ".json", "/index.ts", "/index.js"].map(
    (end) => base + end,
  );
  if (base.endsWith(".js")) tried.push(base.replace(/js$/, "ts"));
  if (base.endsWith(".mjs")) tried.push(base.replace(/mjs$/, "mts"));
  return tried.find((each) => paths.has(each));
}

describe("resolving", () => {
  test("gives what following the path step by step gives", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 8 }), path, specifier, (all, referrer, wanted) => {
        // A step out of the files and back in by the same name is not a way in.
        fc.pre(!wanted.endsWith("/"));
        const paths = new Set(all);
        expect(resolveModule(wanted, referrer, paths)).toBe(naive(wanted, referrer, paths));
      }),
      { numRuns: 2000 },
    );
  });

  test("whatever is asked for, the answer is one of the files", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 5 }), fc.string(), (all, wanted) => {
        const paths = new Set(all);
        const found = resolveModule(wanted, "index.ts", paths);
        expect(found === undefined || paths.has(found)).toBe(true);
      }),
    );
  });

  test("`./x.js` finds x.ts, and x.js before it", () => {
    expect(resolveModule("./x.js", "index.ts", new Set(["x.ts"]))).toBe("x.ts");
    expect(resolveModule("./x.mjs", "index.ts", new Set(["x.mts"]))).toBe("x.mts");
    expect(resolveModule("./x.js", "index.ts", new Set(["x.ts", "x.js"]))).toBe("x.js");
  });

  test("packages, absolute paths and URLs are not followed", () => {
    const paths = new Set(["x.ts", "solo.ts"]);
    for (const each of ["x", "x.ts", "/x.ts", "solo", "node:fs", "https://host/x.ts", ".", ".."]) {
      expect(resolveModule(each, "index.ts", paths), each).toBeUndefined();
    }
  });
});

test("a refusal says what to do for each kind of specifier", () => {
  expect(importRefusal("node:fs", "a.ts")).toMatch(/no Node modules/);
  expect(importRefusal("./b.ts", "a.ts")).toMatch(/not among the files/);
  expect(importRefusal("hono", "a.ts")).toMatch(/Bundle npm packages/);
});
