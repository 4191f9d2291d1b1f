/** What stays of a deploy whose `init` did things before it failed (src/kernel/deploys). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startInProcess } from "../support/kernel-in-process.ts";

const TENANT = "t";
const FAILS = `export default {
  async init(solo) {
    await solo.kv.put("seen", "by the one that failed");
    console.log("about to fail");
    throw new Error("as planned");
  },
};`;
const STARTS = `export default { calls: { seen: (solo) => solo.kv.get("seen") } };`;

test("a deploy that fails in init leaves nothing to the next of its name", async () => {
  await using kernel = await startInProcess();
  const { ask, call } = kernel;
  const service_id = "twice";
  const failed = ask("Deploy", { service_id, code: FAILS }, TENANT);
  await expect(failed).rejects.toMatchObject({ code: "startup_failed" });
  await ask("Deploy", { service_id, code: STARTS }, TENANT);
  expect(await call(TENANT, service_id, "seen")).toBeNull();
});

test("a deploy that fails to start is not there after a restart of the kernel", async () => {
  await withDirectory(async (dataDir) => {
    const service_id = "never";
    {
      await using kernel = await startInProcess({ dataDir });
      const failed = kernel.ask("Deploy", { service_id, code: FAILS }, TENANT);
      await expect(failed).rejects.toMatchObject({ code: "startup_failed" });
    }
    await using kernel = await startInProcess({ dataDir });
    expect((await kernel.ask("List", {}, TENANT)).services).toEqual([]);
    const revisions = kernel.ask("ListRevisions", { service_id }, TENANT);
    await expect(revisions).rejects.toMatchObject({ code: "service_not_found" });
    const { capabilities } = await kernel.ask("ListCapabilities", {}, TENANT);
    expect(capabilities).toEqual([]);
  });
});

test("a deploy that fails is not there after a restart that came before all of it was gone", async () => {
  await withDirectory(async (dataDir) => {
    {
      await using kernel = await startInProcess({
        dataDir,
        faults: (step) => {
          if (step === "cleared") throw new Error("The kernel ends here.");
        },
      });
      const failed = kernel.ask("Deploy", { service_id: "half", code: FAILS }, TENANT);
      await expect(failed).rejects.toMatchObject({ code: "startup_failed" });
    }
    await using kernel = await startInProcess({ dataDir });
    expect(kernel.kernel.bootReport.missing).toEqual([]);
    expect((await kernel.ask("List", {}, TENANT)).services).toEqual([]);
  });
});

test("a deploy that is refused because the name is taken takes nothing from who has it", async () => {
  const service_id = "mine";
  const code = `export default {
    init: () => ({ count: 0 }),
    calls: {
      add: (solo) => (solo.state.count += 1),
      see: (solo) => solo.kv.put("seen", "by mine"),
      seen: (solo) => solo.kv.get("seen"),
    },
  };`;
  await withDirectory(async (dataDir) => {
    {
      await using kernel = await startInProcess({ dataDir });
      const { ask, call } = kernel;
      await ask("Deploy", { service_id, code, persistence: "durable" }, TENANT);
      await call(TENANT, service_id, "add");
      await call(TENANT, service_id, "see");
      for (const other of [code, STARTS, FAILS]) {
        const again = ask("Deploy", { service_id, code: other }, TENANT);
        await expect(again).rejects.toMatchObject({ code: "already_exists" });
      }
    }
    await using kernel = await startInProcess({ dataDir });
    expect(await kernel.call(TENANT, service_id, "add")).toBe(2);
    expect(await kernel.call(TENANT, service_id, "seen")).toBe("by mine");
  });
});

async function withDirectory(act: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-failed-deploy-"));
  try {
    await act(dataDir);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
}
