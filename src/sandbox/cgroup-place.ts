/**
 * Where this process stands in the host's control groups, read from /proc/self/cgroup and
 * /proc/self/mountinfo. Pure: text in, directories out.
 */
import path from "node:path";

export const CONTROLLERS = ["memory", "pids", "cpu", "cpuacct"] as const;
export type Controller = (typeof CONTROLLERS)[number];

export interface CgroupPlace {
  /** Our own directory in the unified hierarchy. */
  readonly v2: string | null;
  /** Our own directory for each controller that has a hierarchy of its own. */
  readonly v1: Readonly<Partial<Record<Controller, string>>>;
}

interface Mount {
  readonly root: string;
  readonly at: string;
  readonly type: string;
  readonly options: readonly string[];
}

function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const fields = before?.split(" ") ?? [];
    const [type, , options] = after?.split(" ") ?? [];
    const [, , , root, at] = fields;
    if (root === undefined || at === undefined || type === undefined) return [];
    return [{ root, at, type, options: options?.split(",") ?? [] }];
  });
}

/** A group's directory under a mount, which may show only a part of the hierarchy. */
function directory(mount: Mount, group: string): string | null {
  const inside = path.relative(mount.root, group);
  return inside.startsWith("..") ? null : path.join(mount.at, inside);
}

export function locateCgroups(selfCgroup: string, mountinfo: string): CgroupPlace {
  const mounts = parseMounts(mountinfo);
  const groups = selfCgroup
    .split("\n")
    .map((line) => /^(\d+):([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, id, names, group]) => ({ id, names: names!.split(","), group: group! }));

  const unified = groups.find(({ id, names }) => id === "0" && names[0] === "");
  const unifiedMount = mounts.find(({ type }) => type === "cgroup2");
  const v1: Partial<Record<Controller, string>> = {};
  for (const controller of CONTROLLERS) {
    const own = groups.find(({ names }) => names.includes(controller));
    const mount = mounts.find(
      (each) => each.type === "cgroup" && each.options.includes(controller),
    );
    const found = own && mount ? directory(mount, own.group) : null;
    if (found !== null) v1[controller] = found;
  }
  return {
    v2: unified && unifiedMount ? directory(unifiedMount, unified.group) : null,
    v1,
  };
}
