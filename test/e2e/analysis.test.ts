/** Static analysis through a real kernel: its levels over REST and on the command line. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startKernel, until, type TestKernel } from "../support/kernel.ts";
import { runCli } from "../support/run-cli.ts";

const LOOPING = "export default {\n  calls: { spin() { for (;;) {} }, ping: () => 'pong' },\n};\n";
const ALLOWED = LOOPING.replace(
  "  calls",
  "  // solo-allow endless_loop: nobody calls it\n  calls",
);
const place = { code: "endless_loop", file: "index.ts", line: 2, column: 21 };
const end = { end_line: 2, end_column: 29 };

let kernel: TestKernel;
const directory = mkdtempSync(join(tmpdir(), "solo-analysis-"));
beforeAll(async () => {
  kernel = await startKernel({
    config: '[tenants.strict]\nanalysis = "strict"\n[tenants.off]\nanalysis = "off"\n',
  });
  writeFileSync(join(directory, "looping.ts"), LOOPING);
});
afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("warn, the default, deploys and answers with what it found, also in the service's log", async () => {
  const tenant = kernel.tenant("warned");
  const { status, body } = await tenant.request("POST", "/services", {
    service_id: "loop",
    code: LOOPING,
  });
  expect({ status, warnings: body["warnings"] }).toMatchObject({
    status: 201,
    warnings: [{ ...place, ...end, severity: "warning", fix: expect.any(String) }],
  });
  const text = await until(async () => {
    const response = await fetch(`${kernel.http}/services/loop/logs`, {
      headers: { authorization: `Bearer ${kernel.token}`, "x-solo-tenant": "warned" },
    });
    const lines = await response.text();
    return lines.includes("endless_loop") ? lines : undefined;
  }, "the warning in the log");
  expect(text).toContain("index.ts:2:21: warning[endless_loop]");
  const update = await tenant.request("PUT", "/services/loop", { code: `${LOOPING}// 2` });
  expect(update.body["warnings"]).toMatchObject([place]);
});

test("strict refuses with every finding and leaves nothing, unless the source says why", async () => {
  const tenant = kernel.tenant("strict");
  const deploy = { service_id: "loop", code: LOOPING };
  const refused = await tenant.request("POST", "/services", deploy);
  expect(refused).toMatchObject({
    status: 422,
    body: { code: "analysis_refused", diagnostics: [{ ...place, ...end, severity: "error" }] },
  });
  expect((await tenant.request("GET", "/services/loop")).status).toBe(404);
  expect((await tenant.request("POST", "/services", { ...deploy, code: ALLOWED })).status).toBe(
    201,
  );
  const updated = await tenant.request("PUT", "/services/loop", { code: LOOPING });
  expect(updated).toMatchObject({ status: 422, body: { code: "analysis_refused" } });
});

test("strict also judges source that another tenant's level let pass", async () => {
  const code = `${LOOPING}// shared`;
  const off = await kernel.tenant("off").request("POST", "/services", { service_id: "a", code });
  expect({ status: off.status, warnings: off.body["warnings"] }).toEqual({ status: 201 });
  const strict = await kernel.tenant("strict").request("POST", "/services", {
    service_id: "a",
    code,
  });
  expect(strict).toMatchObject({ status: 422, body: { code: "analysis_refused" } });
});

test("validate lists findings and what is allowed, and starts nothing", async () => {
  const tenant = kernel.tenant("strict");
  const bad = await tenant.request("POST", "/validate", { service_id: "v", code: LOOPING });
  expect(bad.body).toMatchObject({ ok: false, findings: [{ ...place, severity: "error" }] });
  const good = await tenant.request("POST", "/validate", { service_id: "v", code: ALLOWED });
  expect(good.body).toMatchObject({
    ok: true,
    findings: [],
    allowed: [{ code: "endless_loop", file: "index.ts", line: 3, reason: "nobody calls it" }],
  });
});

test("the command line shows place, reason and fix, and exits 1 when it would be refused", async () => {
  const options = { dataDir: kernel.dataDir, cwd: directory };
  const warned = await runCli(["validate", "looping.ts"], options);
  expect(warned).toMatchObject({ code: 0, stdout: expect.stringContaining("with 1 warning") });
  const strict = await runCli(["validate", "looping.ts", "--tenant", "strict"], options);
  expect(strict.code).toBe(1);
  expect(strict.stdout).toContain("index.ts:2:21 error[endless_loop]");
  expect(strict.stdout).toMatch(/\| +\^{8}\n/);
  expect(strict.stdout).toContain("fix: ");
  const json = await runCli(["validate", "looping.ts", "--tenant", "strict", "--json"], options);
  expect({ code: json.code, ...JSON.parse(json.stdout) }).toMatchObject({
    code: 1,
    ok: false,
    findings: [{ ...place, ...end }],
  });
});
