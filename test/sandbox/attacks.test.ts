import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, symlink, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { HostWalls } from "#sandbox/walls.ts";
import type { Findings, Prey } from "./hostile.ts";
import {
  DECOY,
  hear,
  hostileFile,
  launch,
  probeHere,
  temporaryDirectory,
  whyNoRoom,
} from "./support.ts";

/** Attempts whose answer is not an error code, with what they must come to. */
const OTHERWISE: Readonly<Record<string, RegExp>> = {
  "kill the parent": /^(no effect|refused)$/,
  "exhaust descriptors": /^EMFILE after few$/,
};
/** What only the seccomp program refuses; the rest must hold without it. */
const ONLY_BY_SECCOMP = [
  "listen",
  "make a Unix socket",
  "make a socket pair",
  "make a netlink socket",
  "run itself again",
  "fork",
  "io_uring",
  "userfaultfd",
  "personality",
  "memfd",
  "keyctl",
  "add_key",
  "outlive the kernel",
  "prctl at large",
  "make a directory by number",
];
const REFUSED = /^(E[A-Z]+|ERR_[A-Z_]+|refused)$/;

interface Held {
  readonly findings: Findings;
  readonly decoyAlive: boolean;
}

describe("a compromised cell with native code", () => {
  let walls: HostWalls;
  beforeAll(async () => {
    walls = await probeHere();
  });

  async function attack(chosen: HostWalls, without: readonly string[] = []): Promise<Held> {
    await using directory = await temporaryDirectory();
    await chmod(directory.path, 0o755);
    const secretFile = path.join(directory.path, "owner-token");
    await writeFile(secretFile, "secret", { mode: 0o644 });
    const decoy = spawn(process.execPath, DECOY, { stdio: "ignore" });
    const server = net.createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    const abstractSocket = path.basename(directory.path);
    const abstract = net.createServer((socket) => socket.destroy()).listen(`\0${abstractSocket}`);
    try {
      await Promise.all([
        once(server, "listening"),
        once(abstract, "listening"),
        once(decoy, "spawn"),
      ]);
      const prey: Prey = {
        without,
        secretFile,
        shownFile: hostileFile,
        decoyPid: decoy.pid!,
        port: (server.address() as AddressInfo).port,
        abstractSocket,
      };
      const args = ["--experimental-ffi", "--no-warnings", hostileFile, JSON.stringify(prey)];
      const heard = await hear(await launch(chosen, args, { env: { SOLO_CELL: "1" } }));
      expect(heard.complained).toBe("");
      return {
        findings: JSON.parse(heard.told) as Findings,
        decoyAlive: decoy.exitCode === null && decoy.signalCode === null,
      };
    } finally {
      decoy.kill("SIGKILL");
      server.close();
      abstract.close();
      await Promise.all([once(server, "close"), once(abstract, "close")]);
    }
  }

  function expectHeld({ findings, decoyAlive }: Held): void {
    for (const [attempt, outcome] of Object.entries(findings)) {
      if (attempt.startsWith("fact: ")) continue;
      if (attempt.startsWith("allowed: ")) expect(outcome, attempt).toBe("reached");
      else expect(outcome, attempt).toMatch(OTHERWISE[attempt] ?? REFUSED);
    }
    expect(decoyAlive).toBe(true);
    expect(findings["fact: sockets"]).toBe("2 3");
    expect(findings["fact: open files"]).toBe("");
    expect(findings["fact: environment"]).toMatch(/^(PWD )?SOLO_CELL$/);
  }

  function expectRoom({ findings }: Held): void {
    expect(findings["fact: hostname"]).toBe("cell");
    expect(Number(findings["fact: pid"])).toBeLessThan(10);
    for (const name of ["etc", "proc", "home", "root", "usr", "var", "data"]) {
      expect(findings["fact: root"]?.split(" ")).not.toContain(name);
    }
  }

  test("reaches nothing", async ({ skip }) => {
    const why = whyNoRoom(walls);
    if (why !== null) return skip(why);
    const held = await attack(walls);
    expectHeld(held);
    expectRoom(held);
    if (walls.strategy.uid !== "none") {
      expect(Number(held.findings["fact: uid"])).toBeGreaterThanOrEqual(walls.uidRange.first);
    }
  });

  test("reaches nothing when the uid is dropped inside the room", async ({ skip }) => {
    const why = whyNoRoom(walls);
    if (why !== null) return skip(why);
    if (walls.strategy.uid === "none") return skip("not root: there is no uid to drop");
    const room = walls.strategy.room!;
    const inside = {
      ...room,
      disableUserns: false,
      namespaces: room.namespaces.filter((name) => name !== "user"),
    };
    const held = await attack({ ...walls, strategy: { room: inside, uid: "inside", inner: null } });
    expectHeld(held);
    expectRoom(held);
    expect(Number(held.findings["fact: uid"])).toBeGreaterThanOrEqual(walls.uidRange.first);
  });

  test("reaches no file, process, network or privilege even without the seccomp program", async ({
    skip,
  }) => {
    const why = whyNoRoom(walls);
    if (why !== null) return skip(why);
    if (!walls.strategy.room!.disableUserns)
      return skip("bwrap here cannot forbid nested namespaces");
    const room = { ...walls.strategy.room!, seccomp: false };
    expectHeld(await attack({ ...walls, strategy: { ...walls.strategy, room } }, ONLY_BY_SECCOMP));
  });

  test("reaches nothing behind the walls that Node raises itself, where there is no room", async ({
    skip,
  }) => {
    if (!walls.tools.setpriv || walls.arch === null) return skip("no setpriv or no seccomp here");
    await using tools = await temporaryDirectory();
    for (const name of ["sh", "setpriv"]) {
      await symlink(walls.tools[name as "sh" | "setpriv"]!, path.join(tools.path, name));
    }
    const roomless = await probeHere({ toolDirectories: [tools.path] });
    if (roomless.strategy.inner?.landlock !== true) return skip("Landlock does not work here");
    expect(roomless.tier).toBe("no_namespaces");
    // There the parent is this very test, and in sight.
    expectHeld(await attack(roomless, ["kill the parent"]));
  });
});
