/** The history of a service: list, look, compare, go back, and try first. */
import { afterAll, expect, test } from "vitest";
import { startKernel, type Body } from "../support/kernel.ts";

const kernel = await startKernel({ config: "[limits]\nrevisions_kept = 4" });
afterAll(() => kernel[Symbol.asyncDispose]());

const tenant = kernel.tenant("revisions");
const ask = async (method: string, path: string, body?: Body): Promise<Body> =>
  (await tenant.request(method, path, body)).body;
const put = (service: string, body: Body) => ask("PUT", `/services/${service}`, body);
const history = async (service: string): Promise<Body[]> =>
  (await ask("GET", `/services/${service}/revisions`))["revisions"];

const source = (version: number, more = "") => `export default {
  version: "${version}",
  init: () => ({ n: ${version} }),${more}
  calls: { get: (solo) => solo.state, which: () => ${version} },
};
`;

test("every change is kept: who, when, why, and what it was made of", async () => {
  const first = await tenant.deploy({ service_id: "a", code: source(1) });
  const second = await put("a", { code: source(2), message: "count from two" });
  expect(await history("a")).toMatchObject([
    {
      number: 2,
      revision: second["revision"],
      parent: first["revision"],
      action: "update",
      message: "count from two",
      current: true,
    },
    { number: 1, revision: first["revision"], action: "deploy", current: false },
  ]);
  const [{ by, at }] = (await history("a")) as [Body];
  expect(by).toMatch(/\w/);
  expect(Date.now() - Date.parse(at)).toBeLessThan(60_000);
  const seen = await ask("GET", `/services/a/revisions/${first["revision"]}`);
  expect(seen["files"]).toEqual({ "index.ts": source(1) });
  expect(seen["settings"]["limits.mailbox"]).toBe("1000");
});

test("a diff says what changed in source and settings", async () => {
  await tenant.deploy({ service_id: "b", code: source(1) });
  expect((await ask("GET", "/services/b/diff"))["code"]).toBe("conflict");
  await put("b", { code: source(2), limits: { mailbox: 7 } });
  const { diff, settings } = await ask("GET", "/services/b/diff");
  const lines = diff.split("\n");
  expect(lines.slice(0, 2)).toEqual(["--- a/index.ts", "+++ b/index.ts"]);
  expect(lines).toEqual(expect.arrayContaining(['-  version: "1",', '+  version: "2",']));
  expect(lines).toContain(" export default {");
  expect(settings).toEqual([{ path: "limits.mailbox", before: "1000", after: "7" }]);
});

test("rollback goes back with the state, to the one before or to any that is kept", async () => {
  const first = await tenant.deploy({ service_id: "c", code: source(1) });
  const more =
    "\n  codeChange: (old) => ({ ...old, two: true }), downgrade: ({ n }) => ({ n, back: true }),";
  const second = await put("c", { code: source(2, more) });
  expect(await tenant.call("c", "get")).toEqual({ n: 1, two: true });
  const back = await ask("POST", "/services/c/rollback", { message: "too new" });
  expect(back["revision"]).toBe(first["revision"]);
  expect(await tenant.call("c", "which")).toBe(1);
  expect(await tenant.call("c", "get")).toEqual({ n: 1, back: true });
  const again = await ask("POST", "/services/c/rollback", { revision: second["revision"] });
  expect(again["revision"]).toBe(second["revision"]);
  expect((await history("c")).map(({ action, number }) => [number, action])).toEqual([
    [4, "rollback"],
    [3, "rollback"],
    [2, "update"],
    [1, "deploy"],
  ]);
  const unknown = await ask("POST", "/services/c/rollback", { revision: "r_nothing" });
  expect(unknown["code"]).toBe("not_found");
  expect(unknown["hint"]).toContain(first["revision"]);
});

test("a rollback whose downgrade fails is refused, and the current revision goes on with its state", async () => {
  await tenant.deploy({ service_id: "stuck", code: source(1) });
  const code = source(2, "\n  downgrade() { throw new Error('no way back'); },");
  const { revision } = await put("stuck", { code });
  const { body } = await tenant.request("POST", "/services/stuck/rollback", {});
  expect(body.code).toBe("startup_failed");
  expect(body.detail).toContain("no way back");
  expect((await tenant.status("stuck"))["revision"]).toBe(revision);
  expect(await tenant.call("stuck", "get")).toEqual({ n: 1 });
});

test("only so many are kept, and a restart keeps them", async () => {
  const first = await tenant.deploy({ service_id: "d", code: source(1) });
  for (let version = 2; version <= 6; version += 1) await put("d", { code: source(version) });
  expect((await history("d")).map(({ number }) => number)).toEqual([6, 5, 4, 3]);
  expect((await ask("GET", `/services/d/revisions/${first["revision"]}`))["code"]).toBe(
    "not_found",
  );
  await kernel.restart();
  const kept = await history("d");
  expect(kept.map(({ number }) => number)).toEqual([6, 5, 4, 3]);
  await tenant.request("DELETE", "/services/d");
  await tenant.deploy({ service_id: "d", code: source(9) });
  expect((await history("d")).map(({ number }) => number)).toEqual([1]);
});

test("a dry run says what it would be refused with, and what the service may do then", async () => {
  await tenant.deploy({ service_id: "f", code: source(1), env: { camelCase: "1" } });
  const { plan } = await put("f", {
    code: source(2, "\n  codeChange() { throw new Error('wrong shape'); },"),
    limits: { memory_mb: 32 },
    hibernation: { after_idle_ms: 1000 },
    env: { camelCase: "2" },
    capabilities: [{ resources: ["net:api.example.com"] }],
    secrets: [{ name: "ABSENT", use: "read" }],
    dry_run: true,
  });
  expect(plan["authority"]).toEqual([
    "gains connect net:api.example.com",
    "gains read secret:ABSENT",
    "loses invoke service:*",
  ]);
  const paths = (plan["settings"] as Body[]).map(({ path }) => path as string);
  expect(paths).toEqual(
    expect.arrayContaining(["limits.memory_mb", "hibernation.after_idle_ms", "env.camelCase"]),
  );
  expect(plan["problems"]).toHaveLength(2);
  expect(plan["refusal"]).toMatchObject({ code: "invalid_argument", hint: expect.any(String) });
  const code = source(2, "\n  codeChange() { throw new Error('wrong shape'); },");
  const { refusal } = (await put("f", { code, dry_run: true }))["plan"];
  expect(refusal).toMatchObject({ code: "startup_failed", hint: expect.any(String) });
  expect(refusal.detail).toContain("wrong shape");
  expect(refusal.stack).toContain("index.ts:4");
});

test("a dry run says what would happen to the state, and changes nothing", async () => {
  await tenant.deploy({ service_id: "e", code: source(1) });
  const before = await tenant.status("e");
  const more = "\n  codeChange: (old) => ({ n: String(old.n), tags: ['a'] }),";
  const { plan, state, revision } = await put("e", {
    code: source(2, more),
    env: { A: "1" },
    dry_run: true,
  });
  expect(state).toBe("running");
  expect(plan).toMatchObject({
    from_revision: before["revision"],
    problems: [],
    files: ["changed index.ts"],
    settings: [
      { path: "env", before: "{}" },
      { path: "env.A", after: '"1"' },
    ],
    state: [
      { path: "state.n", before: "number", after: "string" },
      { path: "state.tags", after: "Array" },
      { path: "state.tags[]", after: "string" },
    ],
  });
  expect(revision).not.toBe(before["revision"]);
  const refused = await put("e", {
    code: source(3, "\n  checkState: () => false,"),
    dry_run: true,
  });
  expect(refused["plan"]["problems"][0]).toContain("checkState refused");
  const broken = await put("e", { code: "export default {", dry_run: true });
  expect(broken["plan"]["findings"]).toHaveLength(1);
  const { revision: now, instance_id } = await tenant.status("e");
  expect([now, instance_id]).toEqual([before["revision"], before["instance_id"]]);
  await put("e", { code: source(2, more) });
  const back = await ask("POST", "/services/e/rollback", { dry_run: true });
  expect(back["plan"]["from_revision"]).not.toBe(before["revision"]);
  expect(await tenant.call("e", "which")).toBe(2);
});
