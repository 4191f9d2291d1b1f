import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { tenantId } from "#base/ids.ts";
import { locateCgroups } from "#sandbox/cgroup-place.ts";
import { createCgroup, groupName, settings, sweepCgroups } from "#sandbox/cgroup.ts";
import { probeCgroup } from "#sandbox/probe-cgroup.ts";
import { TenantGroups } from "#sandbox/tenant-groups.ts";
import { temporaryDirectory } from "./support.ts";

const V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";

describe("our place among the control groups", () => {
  test("is found in the unified hierarchy", () => {
    const own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/solo.scope\n";
    expect(locateCgroups(own, V2_MOUNT)).toEqual({
      v2: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/solo.scope",
      v1: {},
    });
  });

  test("is found for each controller of version 1, also when two share a hierarchy", () => {
    const mounts = [
      "31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
      "35 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
      "36 23 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
    ].join("\n");
    expect(locateCgroups("4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n", mounts)).toEqual({
      v2: null,
      v1: {
        memory: "/sys/fs/cgroup/memory/a/b",
        cpu: "/sys/fs/cgroup/cpu,cpuacct",
        cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
      },
    });
  });

  test("is seen through a mount that shows a part of the hierarchy only", () => {
    const mount = "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    expect(locateCgroups("0::/docker/abc/inner\n", mount).v2).toBe("/sys/fs/cgroup/inner");
    expect(locateCgroups("0::/elsewhere\n", mount).v2).toBeNull();
  });

  test("is nowhere when nothing is mounted", () => {
    expect(locateCgroups("", "")).toEqual({ v2: null, v1: {} });
  });
});

describe("a cell's group", () => {
  const limits = { memoryBytes: 1_048_576, pids: 10, cpuShare: 50 };

  test("is told its limits in the words of each version", () => {
    const told = (version: 1 | 2) =>
      settings(version, limits).map(({ file, value }) => `${file} ${value}`);
    expect(told(2)).toEqual([
      "memory.max 1048576",
      "memory.swap.max 0",
      "memory.oom.group 1",
      "pids.max 10",
      "cpu.weight 50",
    ]);
    expect(told(1)).toEqual([
      "memory.memsw.limit_in_bytes 1048576",
      "memory.limit_in_bytes 1048576",
      "memory.memsw.limit_in_bytes 1048576",
      "pids.max 10",
      "cpu.shares 512",
    ]);
    expect(settings(2, {})).toEqual([]);
  });

  test("of version 2 is read and killed through its files", async () => {
    await using root = await temporaryDirectory();
    const places = { memory: root.path, pids: root.path, cpu: root.path };
    const group = await createCgroup({ version: 2, places }, groupName(1, "cell"), limits);
    const directory = path.join(root.path, "solo-1-cell");
    expect(group.join).toEqual([path.join(directory, "cgroup.procs")]);
    expect(await readFile(path.join(directory, "memory.max"), "utf8")).toBe("1048576");
    await writeFile(path.join(directory, "memory.current"), "4096\n");
    await writeFile(path.join(directory, "cpu.stat"), "usage_usec 1500\nuser_usec 1000\n");
    await writeFile(path.join(directory, "memory.events"), "oom 2\noom_kill 1\n");
    expect(await group.memoryBytes()).toBe(4_096);
    expect(await group.cpuMs()).toBe(1.5);
    expect(await group.oomKills()).toBe(1);
    expect(await group.kill()).toBe(true);
    expect(await readFile(path.join(directory, "cgroup.kill"), "utf8")).toBe("1");
  });

  test("that is gone has used nothing and is removed again without complaint", async () => {
    await using root = await temporaryDirectory();
    const group = await createCgroup(
      { version: 1, places: { memory: root.path } },
      "solo-1-cell",
      {},
    );
    expect(await group.remove()).toBe(true);
    expect(await group.remove()).toBe(true);
    expect(await group.memoryBytes()).toBe(0);
    expect(await group.cpuMs()).toBe(0);
    expect(await group.oomKills()).toBe(0);
    expect(await group.kill()).toBe(false);
  });

  test("is swept when its kernel is no more, and others are left alone", async () => {
    await using root = await temporaryDirectory();
    for (const name of ["solo-1-cell", "solo-2-cell", "other"])
      await mkdir(path.join(root.path, name));
    await mkdir(path.join(root.path, "solo-1-tenant", "solo-1-cell"), { recursive: true });
    await sweepCgroups({ places: { memory: root.path } }, (pid) => pid === 2);
    expect((await readdir(root.path)).toSorted()).toEqual(["other", "solo-2-cell"]);
  });
});

describe("a tenant's group", () => {
  const name = (place: string, each: string) => path.join(place, each);
  const read = (...parts: string[]) => readFile(path.join(...parts), "utf8");

  /** What Linux would have in a group's files. */
  async function group(place: string, cell: string, held: number) {
    const host = { version: 2, places: { memory: place, pids: place, cpu: place } } as const;
    const made = await createCgroup(host, groupName(1, cell), { memoryBytes: 1000, pids: 4 });
    await writeFile(name(place, `solo-1-${cell}/memory.current`), String(held));
    await writeFile(name(place, `solo-1-${cell}/cpu.stat`), "usage_usec 2000\n");
    return { host, made };
  }

  test("holds its cells together, less what they held before they joined", async () => {
    await using root = await temporaryDirectory();
    const place = root.path;
    const { host, made: first } = await group(place, "a", 100);
    const { made: second } = await group(place, "b", 50);
    const groups = new TenantGroups(host, 1);
    const tenant = tenantId("t");
    const hold = { memoryBytes: 1000, cpuShare: 50, cpuPercent: 30 };
    await Promise.all([first, second].map((cell) => groups.join({ tenant, hold, cell })));
    const [own] = (await readdir(place)).filter((each) => each.startsWith("solo-1-tenant-"));
    const directory = name(place, own!);
    expect(await read(directory, "cgroup.subtree_control")).toBe("+memory +pids +cpu");
    expect(await read(directory, "memory.max")).toBe("850");
    expect(await read(directory, "cpu.max")).toBe("30000 100000");
    expect(await readdir(directory)).not.toContain("memory.oom.group");
    expect(await read(directory, "solo-1-a", "memory.max")).toBe("1000");
    expect(await read(directory, "solo-1-a", "pids.max")).toBe("4");

    await first.setLimits({ memoryBytes: 500 });
    expect(await read(directory, "solo-1-a", "memory.max")).toBe("500");
    await writeFile(name(directory, "solo-1-a/memory.current"), "7");
    await writeFile(name(directory, "solo-1-a/cpu.stat"), "usage_usec 500\n");
    expect([await first.memoryBytes(), await first.cpuMs()]).toEqual([107, 2.5]);

    await groups.leave(tenant, first);
    await groups.leave(tenant, first);
    expect(await read(directory, "memory.max")).toBe("950");
  });
});

test("a host whose controllers are not delegated is told so", async () => {
  await using root = await temporaryDirectory();
  const proc = path.join(root.path, "proc");
  const mount = path.join(root.path, "cgroup");
  await mkdir(proc);
  await mkdir(mount);
  await writeFile(path.join(proc, "cgroup"), "0::/\n");
  await writeFile(path.join(proc, "mountinfo"), `30 23 0:26 / ${mount} rw - cgroup2 cgroup2 rw\n`);
  await writeFile(path.join(mount, "cgroup.controllers"), "cpu io\n");
  const found = await probeCgroup({ sh: "/bin/sh", pid: 1, isAlive: () => true, procSelf: proc });
  expect(found.host).toBeNull();
  expect(found.whyNot.memory).toContain("not delegated to our group: memory, pids");
});
