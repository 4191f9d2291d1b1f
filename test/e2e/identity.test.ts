/** docs/identity.md with a real kernel: what it shows is what happens. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "#client/index.ts";
import { TENANT_KEYS } from "#config/keys.ts";
import { startKernel } from "../support/kernel.ts";
import { stepsOfPage } from "../support/sessions.ts";
import { runStep, shimDirectory } from "../support/shell.ts";
import { until } from "../support/until.ts";

const page = readFileSync(new URL("../../docs/identity.md", import.meta.url), "utf8");

test("identity.md: a kernel that requires certificates", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "solo-identity-"));
  const shims = shimDirectory();
  onTestFinished(() => {
    for (const path of [dataDir, shims]) rmSync(path, { recursive: true, force: true });
  });
  const env = { PATH: `${shims}:${process.env["PATH"]}`, SOLO_DATA_DIR: dataDir };
  const steps = stepsOfPage(page);
  const started = steps.findIndex(({ command }) => command.startsWith("printf"));
  const prepared = { cwd: dataDir, http: "", env };
  for (const step of steps.slice(0, started)) await runStep(step, prepared);

  const [, config = ""] = /^```toml\n(.*?)^```/ms.exec(page) ?? [];
  await using kernel = await startKernel({ dataDir, config });
  expect([kernel.http, kernel.metrics].map((url) => new URL(url).protocol)).toEqual([
    "https:",
    "https:",
  ]);
  for (const { command, output } of steps.slice(started)) {
    const own = command.replaceAll("https://127.0.0.1:8080", kernel.http);
    await runStep({ command: own, output }, { ...prepared, http: kernel.http });
  }

  const read = (name: string) => readFile(join(dataDir, name), "utf8");
  const [ca, cert, key] = await Promise.all([
    read("certs/ca.pem"),
    read("for-acme/acme.pem"),
    read("for-acme/acme.key"),
  ]);
  const { http: url, token } = kernel;
  const operator = createClient({
    url,
    token,
    tls: {
      ca,
      cert: await read("certs/clients/operator.pem"),
      key: await read("certs/clients/operator.key"),
    },
  });
  const acme = (bearer: string) => createClient({ url, token: bearer, tls: { ca, cert, key } });

  // The owner's token, held to acme: only acme's events, and nobody else's services.
  const { events } = await acme(token).listEvents({ limit: 1000 });
  expect(new Set(events.map(({ tenant_id }) => tenant_id))).toEqual(new Set(["acme"]));
  expect((await acme(token).list()).services.map(({ service_id }) => service_id)).toEqual([
    "hello",
  ]);

  // A token of another tenant is good with the operator's certificate, and not with acme's.
  const granted = await operator.grantCapability({
    tenant_id: "other",
    permissions: ["read"],
    resources: ["*"],
  });
  const otherToken = granted.token!;
  const withOperator = createClient({
    url,
    token: otherToken,
    tls: {
      ca,
      cert: await read("certs/clients/operator.pem"),
      key: await read("certs/clients/operator.key"),
    },
  });
  expect((await withOperator.list()).services).toEqual([]);
  await expect(acme(otherToken).list()).rejects.toMatchObject({ code: "permission_denied" });

  // Settings and tenants that were changed outlive the kernel.
  await operator.createTenant({ tenant_id: "late", limits: { mailbox: 9 } });
  await operator.setConfig({ key: "solo.log_level", value: "warn" });

  await runStep({ command: "npx solo certs revoke acme", output: undefined }, prepared);
  await until(
    () =>
      acme(token)
        .health()
        .then(
          () => false,
          ({ code }: { code: string }) => code === "kernel_unreachable",
        ),
    "the revocation to be read",
  );

  await kernel.restart();
  const again = createClient({
    url: kernel.http,
    token,
    tls: {
      ca,
      cert: await read("certs/clients/operator.pem"),
      key: await read("certs/clients/operator.key"),
    },
  });
  const late = await again.getTenant({ tenant_id: "late" });
  expect(late.limits.filter(({ own }) => own)).toEqual([
    { name: "mailbox", value: 9, own: true, from: "runtime update" },
  ]);
  expect(late.limits).toHaveLength(TENANT_KEYS.length);
  expect((await again.getConfig({ key: "solo.log_level" })).settings[0]?.value).toBe("warn");
});
