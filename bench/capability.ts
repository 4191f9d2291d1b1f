/**
 * Capability checks: the cost on the hot path of every request, alone and as callers meet it:
 * at the kernel's door (who, may they, sampled for the audit trail) and at a service's handle.
 * Not measured: grants (a durable write each), denials, many capabilities in use at once.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "#base/clock.ts";
import type { GrantRequest } from "#capability/capabilities.ts";
import type { Ask } from "#capability/check.ts";
import { silentLogger } from "#base/log.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { newToken } from "#capability/token.ts";
import { Authority } from "#kernel/authority.ts";
import { CapabilityAudit } from "#kernel/capability-audit.ts";
import { ServiceAuthority } from "#kernel/services/host/service-authority.ts";
import type { Kv } from "#storage/kv.ts";
import { quantile } from "./stats.ts";

export interface Row {
  readonly name: string;
  readonly value: string;
  readonly target?: string;
  readonly note?: string;
}

const OTHERS = 10_000;
const ROUNDS = 2_000;
const PER_ROUND = 200;

/** Nothing here is read back: the checks are in memory. */
const nowhere: Kv = {
  get: async () => undefined,
  list: async () => [],
  batch: async (ops) => ops.map(() => 1),
};

const tenant = tenantId("bench");
const ask: Ask = {
  permission: "invoke",
  resource: "service:counter",
  tenant,
  presenter: { tenant },
};

export async function run(): Promise<Row[]> {
  const audit = new CapabilityAudit({
    events: { emit: () => 1 },
    clock: systemClock,
    log: silentLogger,
    verifiedEvery: 1_000,
  });
  const authority = new Authority({
    ownerToken: newToken(randomBytes),
    kv: nowhere,
    clock: systemClock,
    log: silentLogger,
    audit,
    ratePerMinute: () => 1_000,
  });
  await authority.open();
  const { capabilities } = authority;
  const request: GrantRequest = {
    tenant,
    holder: { kind: "tenant", tenant },
    permissions: ["read", "invoke", "deploy"],
    resources: ["kv", "service:*"],
    ratePerMinute: 1_000_000_000,
    ttlMs: 3_600_000,
  };
  for (let i = 0; i < OTHERS; i++) await capabilities.grant(request);
  const root = await capabilities.grant(request);
  const middle = await capabilities.attenuate(root.capability, { resources: ["service:c*"] });
  const leaf = await capabilities.attenuate(middle.capability, {
    permissions: ["invoke"],
    resources: ["service:counter"],
  });
  const token = leaf.token!;
  const key = { tenant, service: serviceId("shop") };
  const handle = await capabilities.delegate(middle.capability, {
    permissions: ["invoke"],
    resources: ["service:counter"],
    to: { kind: "service", ...key },
  });
  const services = new ServiceAuthority({
    capabilities: () => capabilities,
    audit,
    clock: systemClock,
  });
  const actor = { key, handles: [handle.capability] };
  const need = { permission: "invoke", resource: "service:counter" } as const;
  const door = (): true => {
    const principal = authority.identify({ token }, ask);
    void authority.authorize(principal, ask);
    return true;
  };
  const service = (): true => {
    services.authorize(actor, need);
    return true;
  };
  return [
    ...measure("at the door", door, "by token, with the audit trail's sample"),
    ...measure("of a service's handle", service, "as a service's request is"),
    ...measure(
      "by token",
      () => capabilities.verify(token, ask).allowed,
      "hashes the token each time",
    ),
    ...measure(
      "by handle",
      () => capabilities.check(leaf.capability, ask).allowed,
      "as services are checked",
    ),
  ];
}

/** Timed in rounds of many, since one is about as long as reading the clock. */
function measure(name: string, check: () => boolean, note: string): Row[] {
  const micros: number[] = [];
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    for (let i = 0; i < PER_ROUND; i++) if (!check()) throw new Error("The check was refused.");
    micros.push(((performance.now() - begun) * 1_000) / PER_ROUND);
  }
  const perSecond = (ROUNDS * PER_ROUND * 1_000) / (performance.now() - started);
  micros.sort((a, b) => a - b);
  const at = (share: number) => `${quantile(micros, share).toFixed(2)} µs`;
  return [
    { name: `check of a chain of 3 ${name}, median`, value: at(0.5), target: "≤ 1.5 µs", note },
    { name: `check of a chain of 3 ${name}, p99 of rounds`, value: at(0.99) },
    {
      name: `checks ${name}`,
      value: `${(perSecond / 1_000).toFixed(0)} thousand/s`,
      target: "≥ 500 thousand/s",
    },
  ];
}

if (import.meta.main) console.table(await run());
