import { describe, expect, test } from "vitest";
import { candidates } from "#sandbox/candidates.ts";
import { parseLoaderTrace } from "#sandbox/libraries.ts";
import { ancestors, outermost, planLaunch, type PlanInput } from "#sandbox/plan.ts";
import { NAMESPACES, type Room, type Strategy } from "#sandbox/walls.ts";

const tools = { sh: "/bin/sh", bwrap: "/usr/bin/bwrap", setpriv: "/usr/bin/setpriv" };
const room: Room = { namespaces: NAMESPACES, disableUserns: true, seccomp: true };

const input = (strategy: Strategy, more: Partial<PlanInput> = {}): PlanInput => ({
  walls: {
    strategy,
    tools,
    libraries: ["/lib/libc.so.6"],
    setprivFiles: ["/usr/bin/setpriv", "/lib/libcap-ng.so.0"],
  },
  command: "/opt/node",
  args: ["main.ts"],
  readOnly: ["/srv/solo/src/cell", "/srv/solo/src/wire"],
  uid: 1_900_000_001,
  openFiles: 256,
  maxProcesses: null,
  join: ["/cg/cgroup.procs"],
  seccompFd: 4,
  ...more,
});
const words = (strategy: Strategy, more: Partial<PlanInput> = {}) =>
  planLaunch(input(strategy, more)).args;
const before = (list: readonly string[], first: string, second: string) => {
  expect(list).toContain(first);
  expect(list).toContain(second);
  expect(list.indexOf(first)).toBeLessThan(list.indexOf(second));
};

describe("the chain", () => {
  test("drops the uid before it builds the room, and runs the command last", () => {
    const list = words({ room, uid: "outside", inner: null });
    before(list, "/cg/cgroup.procs", tools.setpriv);
    before(list, tools.setpriv, tools.bwrap);
    expect(list.slice(-3)).toEqual(["--", "/opt/node", "main.ts"]);
    for (const name of NAMESPACES) expect(list).toContain(`--unshare-${name}`);
    for (const flag of [
      "--disable-userns",
      "--die-with-parent",
      "--new-session",
      "--no-new-privs",
    ]) {
      expect(list).toContain(flag);
    }
    expect(list.join(" ")).toContain("--cap-drop ALL");
    expect(list.join(" ")).toContain("--seccomp 4");
  });

  test("shows only what is named, read-only, under directories that the tenant may enter", () => {
    const list = words({ room, uid: "outside", inner: null });
    const shown = list.flatMap((word, index) => (word === "--ro-bind" ? [list[index + 1]] : []));
    expect(shown).toEqual([
      "/opt/node",
      "/srv/solo/src/cell",
      "/srv/solo/src/wire",
      "/lib/libc.so.6",
    ]);
    for (const word of ["--bind", "--dev", "--proc", "--dev-bind", "--tmpfs"])
      expect(list).not.toContain(word);
    before(list, "/srv/solo", "--ro-bind");
    before(list, "--ro-bind", "--remount-ro");
  });

  test("drops the uid inside with three capabilities and gives them up with it", () => {
    const list = words({
      room: { ...room, disableUserns: false, namespaces: ["pid"] },
      uid: "inside",
      inner: null,
    });
    before(list, tools.bwrap, "/.solo/setpriv");
    expect(list.filter((word) => word.startsWith("CAP_"))).toEqual([
      "CAP_SETUID",
      "CAP_SETGID",
      "CAP_SETPCAP",
    ]);
    expect(list).toContain("--bounding-set=-all");
    expect(list.filter((word) => word === "--unshare-user")).toEqual([]);
  });

  test("without a room still takes new privileges away and dies with the kernel", () => {
    const list = words({ room: null, uid: "none", inner: null });
    expect(list).not.toContain(tools.bwrap);
    expect(list.slice(-6)).toEqual([
      "--no-new-privs",
      "--pdeathsig",
      "KILL",
      "--",
      "/opt/node",
      "main.ts",
    ]);
  });

  test("without even a shell is the bare command", () => {
    const bare = input({ room: null, uid: "none", inner: null });
    expect(
      planLaunch({ ...bare, walls: { ...bare.walls, tools: { ...tools, sh: null } } }),
    ).toEqual({
      file: "/opt/node",
      args: ["main.ts"],
      env: {},
    });
  });
});

describe("what is tried", () => {
  test("starts with every wall and ends with none, for root", () => {
    const list = candidates({ isRoot: true, tools, seccomp: true });
    expect(list[0]).toEqual({ room, uid: "outside", inner: null });
    expect(list[1]).toEqual({
      room: {
        ...room,
        disableUserns: false,
        namespaces: NAMESPACES.filter((name) => name !== "user"),
      },
      uid: "inside",
      inner: null,
    });
    expect(list.at(-1)).toEqual({ room: null, uid: "none", inner: null });
  });

  test("never drops a uid without root, and never builds a room without bwrap", () => {
    for (const { uid } of candidates({ isRoot: false, tools, seccomp: true }))
      expect(uid).toBe("none");
    for (const each of candidates({
      isRoot: true,
      tools: { ...tools, bwrap: null },
      seccomp: true,
    })) {
      expect(each.room).toBeNull();
    }
    expect(candidates({ isRoot: true, tools: { ...tools, sh: null }, seccomp: true })).toEqual([]);
  });

  test("never asks for a seccomp program that does not exist", () => {
    for (const each of candidates({ isRoot: true, tools, seccomp: false })) {
      expect(each.room?.seccomp ?? false).toBe(false);
    }
  });
});

test("paths inside shown directories are not shown twice", () => {
  expect(outermost(["/a/b", "/a", "/ab", "/a/b/c", "/a"])).toEqual(["/a", "/ab"]);
  expect(ancestors(["/a/b/c", "/a/d"])).toEqual(["/a", "/a/b"]);
});

test("the loader's list is read with and without names", () => {
  const text = `\tlinux-vdso.so.1 (0x00007f46277c4000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f462721e000)
\tlibgone.so => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f46277c6000)
`;
  expect(parseLoaderTrace(text)).toEqual([
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
  ]);
});
