/** A service that takes the whole kernel with it when it starts (src/kernel/boot.ts). */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const KERNEL = fileURLToPath(new URL("boot-kernel.ts", import.meta.url));
const run = promisify(execFile);

test(
  "is found out, held back and told of, while the others come back; a restart brings it back",
  { timeout: 120_000 },
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "solo-boot-killed-"));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const start = async (fatal: string) => {
      const options = { timeout: 60_000, killSignal: "SIGTERM" } as const;
      const { stdout } = await run(process.execPath, [KERNEL, dataDir, fatal], options);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const dies = () => expect(start("killer")).rejects.toMatchObject({ signal: "SIGKILL" });
    expect(await start("nobody")).toMatchObject({ state: "running", told: true });
    await dies();
    await dies();
    const detail = expect.stringContaining("2 times in a row") as string;
    const held = { code: "startup_failed", detail, next_try_at: expect.any(String) as string };
    const last = await start("restart");
    expect(last).toMatchObject({
      running: 3,
      missing: [{ service: "default/killer", why: "held_back", ...held }],
      state: "quarantined",
      held_back: { failures: 1, ...held },
      told: { code: "service_quarantined" },
      restarted: "running",
    });
    expect(last["after"]).toBeUndefined();
    expect(await start("nobody")).toMatchObject({ running: 4, missing: [], told: true });
  },
);
