import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadPrelude } from "#cell/prelude/build.ts";
import { SEGMENT_NAMES } from "#cell/prelude/segments.ts";

describe("The prelude's cache", () => {
  let cacheDir: string;
  beforeEach(async () => {
    cacheDir = join(await mkdtemp(join(tmpdir(), "solo-cache-")), "made-on-demand");
  });
  afterEach(() => rm(join(cacheDir, ".."), { recursive: true }));

  test("gives back what was built, whole and in ASCII", async () => {
    const built = await loadPrelude({ cacheDir });
    const cached = await loadPrelude({ cacheDir });
    for (const name of SEGMENT_NAMES) {
      expect(cached[name].code === built[name].code).toBe(true);
      expect(cached[name].cachedData.equals(built[name].cachedData)).toBe(true);
      expect(/^[\0-\x7f]*$/.test(built[name].code)).toBe(true);
    }
    expect(await readdir(cacheDir)).toHaveLength(1);
  });

  test("builds anew over a torn or foreign entry", async () => {
    await loadPrelude({ cacheDir });
    const path = join(cacheDir, (await readdir(cacheDir))[0]!);
    for (const damage of [
      () => truncate(path, 1000),
      () => truncate(path, 0),
      () => writeFile(path, "not it"),
    ]) {
      await damage();
      expect((await loadPrelude({ cacheDir })).core.code).toContain("__soloHost");
    }
    expect(await readdir(cacheDir)).toHaveLength(1);
  });

  test("is not corrupted by builders that race", async () => {
    const built = await Promise.all(Array.from({ length: 4 }, () => loadPrelude({ cacheDir })));
    expect(new Set(built.map(({ web }) => web.code)).size).toBe(1);
    expect(await readdir(cacheDir)).toHaveLength(1);
    expect((await loadPrelude({ cacheDir })).web.code).toBe(built[0]!.web.code);
  });
});
