/** The chains worth trying on a host, strongest first. Pure. */
import {
  NAMESPACES,
  type InnerWalls,
  type Room,
  type Strategy,
  type Tools,
  type UidDrop,
} from "#sandbox/walls.ts";

export interface CandidateFacts {
  readonly isRoot: boolean;
  readonly tools: Tools;
  /** There is a seccomp program for this processor. */
  readonly seccomp: boolean;
}

type Loss = "disableUserns" | "cgroup" | "net" | "seccomp";

/** What hosts are known to lack, from the least to the greatest loss. */
const LOSSES: readonly (readonly Loss[])[] = [
  [],
  // bwrap before 0.8
  ["disableUserns"],
  // Linux before 4.6
  ["disableUserns", "cgroup"],
  // containers that forbid configuring even one's own loopback
  ["disableUserns", "net"],
  ["disableUserns", "cgroup", "net"],
  ["disableUserns", "seccomp"],
  ["disableUserns", "cgroup", "net", "seccomp"],
];

export function candidates({ isRoot, tools, seccomp }: CandidateFacts): Strategy[] {
  if (tools.sh === null) return [];
  const canDrop = isRoot && tools.setpriv !== null;
  const rooms = tools.bwrap === null ? [] : LOSSES.map((losses) => room(losses, seccomp));
  const drops: readonly UidDrop[] = canDrop ? ["outside", "inside"] : ["none"];
  const inner = seccomp ? [{ landlock: true }, { landlock: false }, null] : [null];

  return [
    ...rooms.flatMap((each) => drops.map((uid) => strategy(each, uid))),
    ...(canDrop ? rooms.map((each) => strategy(each, "none")) : []),
    ...inner.flatMap((each) => (canDrop ? [alone("outside", each)] : [])),
    ...inner.map((each) => alone("none", each)),
  ];
}

const alone = (uid: UidDrop, inner: InnerWalls | null): Strategy => ({ room: null, uid, inner });

function room(losses: readonly Loss[], seccomp: boolean): Room {
  const lost = new Set<string>(losses);
  return {
    namespaces: NAMESPACES.filter((name) => !lost.has(name)),
    disableUserns: !lost.has("disableUserns"),
    seccomp: seccomp && !lost.has("seccomp"),
  };
}

/** Dropping the uid inside needs real privilege there, so there is no user namespace. */
function strategy(within: Room, uid: UidDrop): Strategy {
  if (uid !== "inside") return { room: within, uid, inner: null };
  const namespaces = within.namespaces.filter((name) => name !== "user");
  return { room: { ...within, namespaces, disableUserns: false }, uid, inner: null };
}
