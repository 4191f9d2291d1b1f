/** What Prometheus reads (src/kernel/metrics.ts), and the page that explains it. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { serviceId, tenantId } from "#base/ids.ts";
import { Metrics } from "#kernel/metrics.ts";

const KEY = { tenant: tenantId("t"), service: serviceId("s") };
const measured = { cpuMs: 1500, memoryBytes: 7, memoryLimitBytes: 100 };

function metricsOf({ cpuLimitPercent }: { cpuLimitPercent: number }): Metrics {
  const metrics = new Metrics();
  const each = { ...measured, cpuLimitPercent };
  metrics.observe({
    services: () => [{ key: KEY, state: "running", mailboxLength: 0, ...each }],
    tenants: () => [{ tenant: "t", ...each }],
    cells: () => 1,
    runtime: () => undefined,
    eventHead: () => 0,
  });
  return metrics;
}

test("docs/operations.md explains each metric of our own", async () => {
  const page = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
  const text = await new Metrics().text();
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
  const own = names.filter((name) => !/^solo_(process|nodejs)_/.test(name));
  expect(own.length).toBeGreaterThan(20);
  expect(own.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test("usage stands beside its limit, for services and tenants; what has no limit has no series", async () => {
  const text = await metricsOf({ cpuLimitPercent: 50 }).text();
  for (const line of [
    'solo_service_memory_limit_bytes{tenant="t",service="s"} 100',
    'solo_service_cpu_limit_percent{tenant="t",service="s"} 50',
    'solo_service_cpu_ms{tenant="t",service="s"} 1500',
    'solo_tenant_memory_bytes{tenant="t"} 7',
    'solo_tenant_memory_limit_bytes{tenant="t"} 100',
    'solo_tenant_cpu_limit_percent{tenant="t"} 50',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  const unlimited = await metricsOf({ cpuLimitPercent: Infinity }).text();
  expect(unlimited).not.toMatch(/cpu_limit_percent\{/);
});

test("violations are counted by kind, and forgotten with their service or tenant", async () => {
  const metrics = metricsOf({ cpuLimitPercent: 50 });
  metrics.violated({ ...KEY, what: "memory", level: "exceeded" });
  metrics.violated({ tenant: "t", service: "", what: "tenant_cpu", level: "approach" });
  const counted = async () =>
    [...(await metrics.text()).matchAll(/^solo_resource_violations_total\{.*what="(\w+)"/gm)].map(
      ([, what]) => what,
    );
  expect(await counted()).toEqual(["memory", "tenant_cpu"]);
  metrics.forget(KEY);
  expect(await counted()).toEqual(["tenant_cpu"]);
  metrics.forgetTenant("t");
  expect(await counted()).toEqual([]);
});
