/** What the deploy nouns keep: the compile cache, deployments. */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { silentLogger } from "#base/log.ts";
import { CompileCache } from "#deploy/compile-cache.ts";
import { Deployments, type Deployment } from "#deploy/deployments.ts";
import { resolveSpec, revisionOf } from "#deploy/spec.ts";
import type { Kv } from "#storage/kv.ts";
import { defaults, memoryKv } from "./support.ts";

const key = { tenant: tenantId("t"), service: serviceId("s"), slot: 0 };

describe("the compile cache", () => {
  const result = (size: number) => ({
    modules: [{ path: "a.ts", code: "x".repeat(size), map: "" }],
    diagnostics: [],
  });
  const patient = (kv: Kv = memoryKv(), version = "1") =>
    new CompileCache({ kv, version, log: silentLogger });
  /** One that stores at once. */
  const cache = (kv?: Kv, version?: string) => {
    const made = patient(kv, version);
    void made.close();
    return made;
  };

  const MIB = 1024 * 1024;
  /** Text that nothing makes shorter. */
  const noise = (bytes: number) => randomBytes(bytes).toString("base64");

  test("finds again what it saved, in memory and after a restart", async () => {
    const kv = memoryKv();
    const first = cache(kv);
    expect(await first.save("h", result(10)).stored).toBe(true);
    expect(first.recall("h")?.result).toEqual(result(10));
    const second = cache(kv);
    expect(second.recall("h")).toBeUndefined();
    const loaded = await second.load("h");
    expect([loaded?.result, await loaded?.stored]).toEqual([result(10), true]);
    expect(second.recall("h")?.result).toEqual(result(10));
  });

  test("that closes has everything on disk, also what comes later", async () => {
    const kv = memoryKv();
    const first = patient(kv);
    void first.save("h", result(10));
    await first.close();
    expect((await cache(kv).load("h"))?.result).toEqual(result(10));
    void first.save("i", result(20));
    await first.close();
    expect((await cache(kv).load("i"))?.result).toEqual(result(20));
  });

  test("knows nothing of what another compiler made", async () => {
    const kv = memoryKv();
    await cache(kv, "1").save("h", result(10)).stored;
    expect(await cache(kv, "2").load("h")).toBeUndefined();
  });

  test("takes a damaged entry for a miss (invariant 1)", async () => {
    const kv = memoryKv();
    await cache(kv).save("h", result(10)).stored;
    const [[at, value]] = [...kv.rows] as [[string, Uint8Array]];
    for (let bit = 0; bit < value.length * 8; bit += 1) {
      const altered = Uint8Array.from(value);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      kv.rows.set(at, altered);
      expect(await cache(kv).load("h"), `bit ${bit}`).toBeUndefined();
    }
    kv.rows.set(at, new Uint8Array(0));
    expect(await cache(kv).load("h")).toBeUndefined();
  });

  test("holds a bounded number of characters in memory, the newest (invariant 2)", () => {
    const small = cache();
    for (let n = 0; n < 5; n += 1) small.save(`h${n}`, result(5 * MIB));
    const held = Array.from({ length: 5 }, (_, n) => small.recall(`h${n}`) !== undefined);
    expect(held).toEqual([false, false, true, true, true]);
  });

  test("counts a source that is saved again only once", () => {
    const small = cache();
    for (let n = 0; n < 4; n += 1) small.save("same", result(5 * MIB));
    small.save("other", result(5 * MIB));
    expect(small.recall("same")).toBeDefined();
    expect(small.recall("other")).toBeDefined();
  });

  test("stores a large result that is not held in memory, and says what it does not store", async () => {
    const kv = memoryKv();
    const large = cache(kv);
    expect(await large.save("long", result(20 * MIB)).stored).toBe(true);
    expect(large.recall("long")).toBeUndefined();
    expect((await large.load("long"))?.result).toEqual(result(20 * MIB));
    const giant = { ...result(0), modules: [{ path: "a.ts", code: noise(13 * MIB), map: "" }] };
    expect(await large.save("giant", giant).stored).toBe(false);
    expect(kv.rows.size).toBe(1);
  });

  test("makes room on the disk for what is new, at the cost of what is there (invariant 2)", async () => {
    const kv = memoryKv();
    const full = { ...kv, batch: roomFor(kv, 250) };
    const small = cache(full);
    for (let n = 0; n < 600; n += 1) {
      const hash = createHash("sha256").update(String(n)).digest("hex");
      expect(await small.save(hash, result(10)).stored).toBe(true);
      expect(kv.rows.size).toBeLessThanOrEqual(250);
      expect(await cache(full).load(hash)).toBeDefined();
    }
    expect(kv.rows.size).toBeGreaterThan(100);
  });

  test("says when it could not store", async () => {
    const batch = () => Promise.reject(new Error("The disk is gone."));
    expect(await cache({ ...memoryKv(), batch }).save("h", result(10)).stored).toBe(false);
  });
});

/** Writes as the storage does that has room for so many keys. */
function roomFor(kv: ReturnType<typeof memoryKv>, keys: number): Kv["batch"] {
  return async (ops, within) => {
    const added = ops.filter(({ op }) => op === "put").length;
    if (within !== undefined && kv.rows.size + added > keys) {
      throw new SoloError("limit_exceeded", "It is full.");
    }
    return kv.batch(ops);
  };
}

describe("deployments", () => {
  const deployment = (service: string, quarantined = false): Deployment => {
    const spec = resolveSpec(
      { code: `export default { calls: { n: () => "${service}" } };`, args: [1] },
      defaults,
    );
    return {
      key: { tenant: key.tenant, service: serviceId(service) },
      spec,
      revision: revisionOf(spec),
      deployedAtMs: 7,
      quarantined,
      capabilities: ["c_0123"],
    };
  };

  test("come back all and in order of their names, over any number of pages", async () => {
    const deployments = new Deployments(memoryKv());
    const all = Array.from({ length: 1203 }, (_, n) =>
      deployment(`s${String(n).padStart(4, "0")}`, n % 2 === 0),
    );
    await Promise.all(all.toReversed().map((each) => deployments.put(each)));
    expect(await deployments.all()).toMatchObject({ deployments: all, unreadable: [] });
  });

  test("that cannot be read are named, and the others still come back (invariant 2)", async () => {
    const kv = memoryKv();
    const deployments = new Deployments(kv);
    await deployments.put(deployment("a"));
    await deployments.put(deployment("c"));
    kv.rows.set("deployments\0t/b", Buffer.from("{"));
    kv.rows.set("deployments\0t/d", Buffer.from('{"form":99}'));
    const { deployments: read, unreadable } = await deployments.all();
    expect(read.map((each) => each.key.service)).toEqual(["a", "c"]);
    expect(unreadable).toEqual(["t/b", "t/d"]);
  });

  test("that were removed are gone", async () => {
    const deployments = new Deployments(memoryKv());
    await deployments.put(deployment("a"));
    await deployments.remove(deployment("a").key);
    expect(await deployments.all()).toMatchObject({ deployments: [], unreadable: [] });
  });
});
