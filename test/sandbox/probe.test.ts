import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { doctorReport, doctorText } from "#sandbox/doctor.ts";
import { probeHost } from "#sandbox/probe.ts";
import { WALL_NAMES, type HostWalls, type Wall } from "#sandbox/walls.ts";
import { hear, here, launch, probeHere, temporaryDirectory } from "./support.ts";

const wall = (walls: HostWalls, name: Wall["name"]): Wall =>
  walls.walls.find((each) => each.name === name)!;
const probeWith = (toolDirectories: readonly string[]): Promise<HostWalls> =>
  probeHost({ node: process.execPath, readOnly: [here], toolDirectories });

async function tool(directory: string, name: string, script: string): Promise<void> {
  const file = path.join(directory, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

describe("the probe", () => {
  test("names every wall once, with a means or a reason, and never both", async () => {
    const { walls } = await probeHere();
    expect(walls.map(({ name }) => name).toSorted()).toEqual([...WALL_NAMES].toSorted());
    for (const { active, how, whyNot } of walls) {
      expect(how === null).toBe(!active);
      expect(whyNot === null).toBe(active);
    }
  });

  test("refuses to judge a host by files that are not there", async () => {
    await expect(probeHere({ readOnly: ["/nonexistent/cell"] })).rejects.toMatchObject({
      code: "internal",
    });
  });

  test("on a host without any tool promises nothing, and cells still start", async () => {
    await using empty = await temporaryDirectory();
    const walls = await probeWith([empty.path]);
    expect(walls.tier).toBe("nothing");
    expect(wall(walls, "files").whyNot).toBe("sh is not installed");
    for (const name of [
      "files",
      "processes",
      "network",
      "system_calls",
      "tenant_uid",
      "resource_limits",
    ] as const) {
      expect(wall(walls, name).active, name).toBe(false);
    }
    const heard = await hear(await launch(walls, ["-e", "require('fs').writeSync(3, 'up')"]));
    expect(heard).toMatchObject({ told: "up", code: 0 });
  });

  test("on a host without bwrap says so", async () => {
    await using tools = await temporaryDirectory();
    await tool(tools.path, "sh", 'exec /bin/sh "$@"');
    const walls = await probeWith([tools.path]);
    expect(wall(walls, "files").whyNot).toBe("bwrap is not installed");
    expect(wall(walls, "resource_limits").active).toBe(true);
  });

  test("believes what bwrap does, not that it is there, and passes on its words", async () => {
    await using tools = await temporaryDirectory();
    await tool(tools.path, "sh", 'exec /bin/sh "$@"');
    await tool(
      tools.path,
      "bwrap",
      'echo "bwrap: No permissions to create new namespace" >&2; exit 1',
    );
    const walls = await probeWith([tools.path]);
    expect(walls.strategy.room).toBeNull();
    expect(wall(walls, "network").whyNot).toBe("bwrap: No permissions to create new namespace");
  });

  test("takes a smaller room when bwrap is too old for the full one", async ({ skip }) => {
    const full = await probeHere();
    if (!full.strategy.room?.disableUserns) return skip("there is no full room here to reduce");
    await using tools = await temporaryDirectory();
    await chmod(tools.path, 0o755);
    await tool(tools.path, "sh", 'exec /bin/sh "$@"');
    const old = `for word in "$@"; do [ "$word" = --disable-userns ] && { echo "bwrap: Unknown option --disable-userns" >&2; exit 1; }; done`;
    await tool(tools.path, "bwrap", `${old}\nexec ${full.tools.bwrap} "$@"`);
    const walls = await probeWith([tools.path]);
    expect(walls.tier).toBe("user_namespaces");
    expect(walls.strategy.room).toEqual({ ...full.strategy.room, disableUserns: false });
    expect(wall(walls, "nested_namespaces").how).toBe(
      "system calls that would need it are refused",
    );
  });
});

describe("the doctor", () => {
  test("explains every missing wall: why, what it exposes, how to get it", async () => {
    await using empty = await temporaryDirectory();
    const report = doctorReport(await probeWith([empty.path]));
    const said = doctorText(report);
    for (const each of report.walls) {
      expect(said).toContain(each.name);
      expect(each.exposes).not.toBe("");
      expect(each.get_it).not.toBe("");
      if (each.active) continue;
      for (const line of [each.why_not!, each.exposes, each.get_it]) expect(said).toContain(line);
    }
    expect(said).toContain("Tier: nothing.");
  });

  test("counts the walls that stand here", async () => {
    const walls = await probeHere();
    const standing = walls.walls.filter(({ active }) => active).length;
    expect(doctorText(doctorReport(walls))).toContain(
      `${standing} of ${WALL_NAMES.length} walls stand.`,
    );
  });
});
