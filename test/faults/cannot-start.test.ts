/** What an owner sees when a kernel cannot start: an exit code, a reason, what to do. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startKernel } from "../support/kernel.ts";
import { refusedStart } from "./refused-start.ts";

let root: string;
let dataDir: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "solo-refused-"));
});
beforeEach(() => {
  dataDir = mkdtempSync(join(root, "data-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const start = (options: { args?: string[]; env?: Record<string, string> } = {}) =>
  refusedStart({ dataDir, cwd: root, ...options });

describe("a kernel that cannot start exits with 3 and says why", () => {
  test("and does not stay, whatever in its process goes on", async () => {
    const busy = "--import=data:text/javascript,setInterval(()=>{},1000)";
    const file = join(root, "in-the-way");
    writeFileSync(file, "");
    const { code, stderr } = await refusedStart({
      dataDir: file,
      cwd: root,
      env: { NODE_OPTIONS: busy },
    });
    expect(stderr).toContain("error[storage_read_only]");
    expect(stderr).toMatch(/warning: the kernel has ended, but not all of it: .*Timeout/);
    expect(code).toBe(3);
  });

  test("when another program has its port", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    try {
      const { code, stderr } = await start({ args: ["--http-port", String(port)] });
      expect(stderr).toContain("error[cannot_listen]");
      expect(stderr).toContain(`127.0.0.1:${port}`);
      expect(stderr).toContain("hint: ");
      expect(code).toBe(3);
      expect(existsSync(join(dataDir, "kernel.json"))).toBe(false);
    } finally {
      server.close();
    }
  });

  test("when its data directory is a file", async () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    const { code, stderr } = await refusedStart({ dataDir: file, cwd: root });
    expect(stderr).toContain("error[storage_read_only]");
    expect(stderr).toContain(file);
    expect(code).toBe(3);
  });

  test("when it may not create its data directory", async () => {
    // Root may write anywhere but where the kernel of the machine says no.
    const { code, stderr } = await refusedStart({
      dataDir: join(root, "x".repeat(300)),
      cwd: root,
    });
    expect(stderr).toMatch(/error\[\w+\]: The data directory/);
    expect(code).toBe(3);
  });
});

/** A directory that a kernel has used and left in order. */
describe("with a store that was in use", () => {
  let used: string;

  beforeAll(async () => {
    used = mkdtempSync(join(root, "used-"));
    await using kernel = await startKernel({ dataDir: used });
    await kernel.deploy({ service_id: "a", code: "export default { calls: { get: () => 1 } }" });
  });
  beforeEach(() => cpSync(used, dataDir, { recursive: true }));

  test("a second kernel is refused with the first one's process id, and the first goes on", async () => {
    chmodSync(join(dataDir, "owner-token"), 0o644);
    await using kernel = await startKernel({ dataDir });
    const { code, stderr } = await start();
    expect(stderr).toContain("error[storage_locked]");
    expect(stderr).toContain(String(kernel.pid));
    expect(code).toBe(3);
    expect(await kernel.call("a", "get")).toBe(1);
    for (const name of ["owner-token", "kernel.json"]) {
      expect(statSync(join(dataDir, name)).mode & 0o777, name).toBe(0o600);
    }
  });

  test("state that is no database stops the start with what to do", async () => {
    writeFileSync(join(dataDir, "state.db"), "not a database ".repeat(1000));
    const { code, stderr } = await start();
    expect(stderr).toContain("error[storage_corrupt]");
    expect(stderr).toContain("state.db");
    expect(stderr).toContain("hint: ");
    expect(code).toBe(3);
  });

  test("events that are no database stop the start with what to do", async () => {
    const events = join(dataDir, "events");
    const newest = readdirSync(events)
      .filter((name) => name.endsWith(".db"))
      .toSorted()
      .at(-1)!;
    writeFileSync(join(events, newest), "not a database ".repeat(1000));
    const { code, stderr } = await start();
    expect(stderr).toContain("error[storage_corrupt]");
    expect(stderr).toContain("hint: ");
    expect(code).toBe(3);
  });

  test("state that was cut short stops the start as well", async () => {
    const state = join(dataDir, "state.db");
    // What a kernel that was stopped in haste leaves beside it would make it whole again.
    const db = new DatabaseSync(state);
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    db.close();
    truncateSync(state, 5000);
    const { code, stderr } = await start();
    expect(stderr).toContain("error[storage_corrupt]");
    expect(code).toBe(3);
  });
});

describe("a wrong configuration exits with 2", () => {
  test("and names file, line and column", async () => {
    const file = join(root, "wrong.toml");
    writeFileSync(file, '[solo]\nlog_level = "info"\nhttp_port = "eighty"\n');
    const { code, stderr } = await start({ args: ["--config", file] });
    expect(stderr).toContain("error[config_invalid]");
    expect(stderr).toContain(`${file}:3:13`);
    expect(code).toBe(2);
  });

  test("and names the environment variable", async () => {
    const { code, stderr } = await start({ env: { SOLO_LOG_LEVEL: "loud" } });
    expect(stderr).toContain("SOLO_LOG_LEVEL");
    expect(code).toBe(2);
  });

  test("and a file that is not there is named", async () => {
    const { code, stderr } = await start({ args: ["--config", join(root, "none.toml")] });
    expect(stderr).toContain("none.toml");
    expect(code).toBe(2);
  });
});
