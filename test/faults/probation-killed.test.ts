/** A probation outlives its kernel: kill -9 while it runs, and on the way back, of which
 *  test/chaos has every step. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";
import { killOnTheWayBack } from "./probation-generations.ts";
import { deployTried, type Tried } from "./tried.ts";

test("a kernel that dies on the way back leaves one revision with the newest state, and a way back", () =>
  killOnTheWayBack(["held", "adopted", "recorded"]));

describe("after a kill -9 of the kernel", () => {
  const watchdog = { window_ms: 600_000 };
  let kernel: TestKernel;
  let crashing: Tried;
  let poisoned: Tried;
  let over: Tried;
  let succeeded: { readonly [field: string]: unknown };
  beforeAll(async () => {
    kernel = await startKernel();
    crashing = await deployTried(kernel, { service_id: "crashing", watchdog });
    const more =
      "async init(solo) { if (await solo.kv.get('poison')) throw new Error('poisoned'); },";
    poisoned = await deployTried(kernel, { service_id: "poisoned", more, watchdog });
    await kernel.call("poisoned", "poison");
    over = await deployTried(kernel, { service_id: "over", watchdog: { max_messages: 1 } });
    await until(
      async () => (await kernel.status("over"))["probation_ms"] === undefined,
      "the end of the probation",
    );
    succeeded = await crashing.event("hot_swap_succeeded");
    await kernel.kill9();
    await kernel.restart();
  });
  afterAll(() => kernel[Symbol.asyncDispose]());

  test("it goes on with what is left, and a crash brings the old revision and its state back", async () => {
    const { version, probation_ms } = await kernel.status("crashing");
    expect(version).toBe("2");
    expect(probation_ms).toBeGreaterThan(0);
    expect(probation_ms).toBeLessThan(watchdog.window_ms);
    expect(await kernel.call("crashing", "get")).toBe(3);
    await kernel.ask("crashing", "boom");
    await crashing.isBack();
    expect(await kernel.call("crashing", "get")).toBe(2);
    expect(await crashing.event("hot_swap_rolled_back")).toMatchObject({
      causation_id: succeeded["id"],
      payload: {
        revision: crashing.before,
        state: "restore_old",
        regressions: [{ what: "crashes" }],
      },
    });
  });

  test("a revision that does not start again is undone, and the service is not missing", async () => {
    const revision = poisoned.before;
    expect(await kernel.status("poisoned")).toMatchObject({
      state: "running",
      version: "1",
      revision,
    });
    expect(await kernel.call("poisoned", "get")).toBe(2);
    const back = await poisoned.event("hot_swap_rolled_back");
    expect(back["payload"]).toMatchObject({ reason: "failure", state: "restore_old" });
    expect(back["payload"].detail).toContain("poisoned");
    const { revisions } = (await kernel.request("GET", "/services/poisoned/revisions")).body;
    expect(revisions[0]).toMatchObject({ by: "watchdog", action: "rollback", revision });
  });

  test("a probation that was over stays over", async () => {
    expect((await kernel.status("over"))["probation_ms"]).toBeUndefined();
    await kernel.ask("over", "boom");
    await until(async () => (await kernel.status("over"))["restarts"] === 1, "the restart");
    expect((await kernel.status("over"))["version"]).toBe("2");
    expect(await over.events("hot_swap_rolled_back")).toEqual([]);
  });

  test("an orderly stop ends whoever stands by without a trace, and what came back stays", async () => {
    const standing = await deployTried(kernel, { service_id: "standing", watchdog });
    await kernel.stop();
    await kernel.restart();
    expect(await kernel.status("standing")).toMatchObject({ state: "running", version: "2" });
    expect(await kernel.call("standing", "get")).toBe(3);
    expect(await standing.events("hot_swap_rolled_back")).toEqual([]);
    expect(await standing.events("service.terminated")).toEqual([]);
    expect(await kernel.status("crashing")).toMatchObject({
      version: "1",
      revision: crashing.before,
    });
    expect((await kernel.status("crashing"))["probation_ms"]).toBeUndefined();
    expect(await kernel.call("crashing", "get")).toBe(2);
  });
});
