/** Deploy, look at, change and kill services. */
import type { OutputOf } from "#api/catalogue.ts";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { rounded } from "#base/rounded.ts";
import type { Deployed } from "#kernel/deploys/deployed.ts";
import type { Deployer } from "#kernel/deploys/deployer.ts";
import type { Remover } from "#kernel/deploys/remover.ts";
import type { Restarter } from "#kernel/deploys/restarter.ts";
import type { ServiceLimits } from "#kernel/limits/service-limits.ts";
import { keyOf, type Handlers } from "#kernel/operations/handlers.ts";
import { shownRollout } from "#kernel/operations/rollouts.ts";
import type { StoredState } from "#kernel/services/state/replica-state.ts";
import type { HeldBack } from "#kernel/services/messages/refusals.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";
import type { Service } from "#kernel/services/service.ts";
import { keepsState } from "#kernel/services/instance/start-message.ts";
import { UNIT_OF, type Usage } from "#limits/limit.ts";
import type { Tenants } from "#kernel/tenants.ts";
import type { Plan } from "#kernel/upgrades/plan.ts";
import type { Changed } from "#kernel/upgrades/change.ts";
import type { Upgrades } from "#kernel/upgrades/upgrades.ts";

const DEFAULT_PAGE = 100;

export interface ServiceParts {
  readonly clock: Clock;
  readonly tenants: Tenants;
  readonly deployer: Deployer;
  readonly restarter: Restarter;
  readonly remover: Remover;
  readonly upgrades: Upgrades;
}

type ServiceHandlers = Pick<
  Handlers,
  "Deploy" | "Update" | "Validate" | "Kill" | "Restart" | "Status" | "List"
>;

export const serviceHandlers = ({
  clock,
  tenants,
  deployer,
  restarter,
  remover,
  upgrades,
}: ServiceParts): ServiceHandlers => ({
  Deploy: async (input, asked) =>
    deployed(await deployer.deploy(keyOf(input, asked), input, asked.principal!)),
  Update: async ({ message, self_test: selfTest, strategy, dry_run, ...input }, asked) => {
    const key = keyOf(input, asked);
    if (dry_run === true) {
      const begun = clock.now();
      const service = tenants.get(key);
      const spec = upgrades.specOf(service, input);
      upgrades.strategyOf(service, spec, strategy);
      const plan = await upgrades.plan(service, spec, { action: "update", by: asked.principal! });
      return planned(service, plan, clock.now() - begun);
    }
    const wish = { message, selfTest, strategy };
    return updated(await upgrades.update(key, input, asked.principal!, wish));
  },
  Validate: async (input, asked) => {
    const judged = await deployer.validate(keyOf(input, asked), input, asked.principal!);
    const { revision, findings, allowed, problems } = judged;
    const ok = problems.length === 0 && !findings.some(({ severity }) => severity === "error");
    return {
      ok,
      revision,
      findings: [...findings],
      problems,
      ...(allowed.length > 0 && { allowed: [...allowed] }),
    };
  },
  Kill: async (input, asked) => {
    const key = keyOf(input, asked);
    const { forced } = await remover.kill(key, {
      force: input.force ?? false,
      timeoutMs: input.timeout_ms,
    });
    return { tenant_id: key.tenant, service_id: key.service, state: "stopped", forced };
  },
  Restart: async (input, asked) => deployed(await restarter.restart(keyOf(input, asked))),
  Status: async (input, asked) => {
    const service = tenants.get(keyOf(input, asked));
    const stored = service.replicas.map(async (each) => storedOf(each, await each.lookUpStored()));
    return {
      ...statusOf(service, { clock, upgrades }),
      stored: (await Promise.all(stored)).flat(),
      usage: usageOf(service.bounds.limits),
    };
  },
  List: ({ limit = DEFAULT_PAGE, after = "" }, { tenant }) => {
    const rest = tenants.list(tenant).filter(({ key }) => key.service > after);
    const page = rest.slice(0, limit);
    return {
      services: page.map((service) => statusOf(service, { clock, upgrades })),
      ...(rest.length > page.length && { next: page.at(-1)!.key.service }),
    };
  },
});

export const updated = ({
  swapped,
  probationMs,
  rollout,
  unchanged,
  ...rest
}: Changed): OutputOf<"Update"> => ({
  ...deployed(rest),
  ...(swapped !== undefined && {
    pause_ms: rounded(swapped.pauseMs),
    state_bytes: swapped.stateBytes,
  }),
  ...(probationMs !== undefined && { probation_ms: probationMs }),
  ...(rollout !== undefined && { rollout: shownRollout(rollout) }),
  ...(unchanged !== undefined && { unchanged }),
});

/** The answer of a dry run: the service as it is, and the plan. */
export function planned(service: Service, plan: Plan, tookMs: number): OutputOf<"Update"> {
  const { state, refusal } = plan;
  const { hint, stack } = refusal?.options ?? {};
  return {
    tenant_id: service.key.tenant,
    service_id: service.key.service,
    revision: plan.revision,
    state: service.state,
    instance_id: service.instances[0]?.id ?? "",
    started_in_ms: rounded(tookMs),
    plan: {
      from_revision: plan.fromRevision,
      problems: [...plan.problems],
      findings: plan.diagnostics.map((each) => ({ ...each })),
      files: plan.files.map(({ change, path }) => `${change} ${path}`),
      settings: plan.settings.map(({ setting: path, ...values }) => ({ path, ...values })),
      state: (state?.changes ?? []).map((each) => ({ ...each })),
      ...(state !== undefined && { state_bytes: state.bytes }),
      authority: [...plan.authority],
      ...(refusal !== undefined && {
        refusal: {
          code: refusal.code,
          detail: refusal.message,
          ...(hint !== undefined && { hint }),
          ...(stack !== undefined && { stack }),
        },
      }),
    },
  };
}

function deployed({ service, startedInMs, warnings }: Deployed): OutputOf<"Deploy"> {
  const { key, revision, state, instances } = service;
  const [instance] = instances;
  if (instance === undefined)
    throw new SoloError(
      "service_crashed",
      `${key.service} is at revision ${revision}, and its instance ended at once.`,
      {
        hint: "This revision stays, and its supervisor starts it again within restart_limits; see last_crash in its status.",
      },
    );
  return {
    tenant_id: key.tenant,
    service_id: key.service,
    revision,
    state,
    instance_id: instance.id,
    started_in_ms: rounded(startedInMs),
    ...(warnings.length > 0 && { warnings: [...warnings] }),
  };
}

const uptimeMs = ({ instance, record }: Replica, clock: Clock): number =>
  instance === undefined ? 0 : Math.round(clock.now() - record.startedAt);

function storedOf(
  { slot, spec }: Replica,
  { atMs, bytes, fellBack, failure }: StoredState,
): OutputOf<"Status">["stored"] {
  if (failure === undefined && !keepsState(spec) && bytes === undefined) return [];
  return [
    {
      slot,
      ...(atMs !== undefined && { saved_at: isoOf(atMs) }),
      ...(bytes !== undefined && { bytes }),
      ...(fellBack === true && { fell_back: true }),
      ...(failure !== undefined && {
        error: {
          code: failure.error.code,
          detail: failure.error.message,
          since: isoOf(failure.sinceMs),
        },
      }),
    },
  ];
}

const shownHold = ({ code, detail, failures, nextTryAtMs }: HeldBack) => ({
  code,
  detail,
  failures,
  ...(nextTryAtMs !== undefined && { next_try_at: isoOf(nextTryAtMs) }),
});

const isoOf = (ms: number): string => new Date(ms).toISOString();

function usageOf({ meter, tenant }: ServiceLimits): OutputOf<"Status">["usage"] {
  const shown = ({ what, value, limit, action, level }: Usage) => ({
    what,
    value: Math.round(value * 100) / 100,
    ...(limit !== Infinity && { limit }),
    unit: UNIT_OF[what],
    action,
    level,
  });
  return [...meter.usage(), ...tenant.meter.usage()].map(shown);
}

function statusOf(
  service: Service,
  { clock, upgrades }: Pick<ServiceParts, "clock" | "upgrades">,
): OutputOf<"Status"> {
  const probationMs = upgrades.probationMs(service);
  const { key, totals, spec, replicas, version } = service;
  const [instance] = service.instances;
  return {
    tenant_id: key.tenant,
    service_id: key.service,
    state: service.state,
    revision: service.revision,
    ...(instance !== undefined && { instance_id: instance.id }),
    ...(version !== undefined && { version }),
    uptime_ms: Math.max(...replicas.map((replica) => uptimeMs(replica, clock))),
    restarts: totals.restarts,
    memory_bytes: totals.memoryBytes,
    mailbox_length: service.mailboxLength,
    cpu_ms: rounded(totals.cpuMs),
    calls: totals.messages,
    errors: totals.errors,
    last_crash: totals.lastCrash ?? null,
    persistence: spec.persistence,
    isolation: spec.isolation,
    metadata: spec.metadata as OutputOf<"Status">["metadata"],
    deployed_at: new Date(service.deployedAtMs).toISOString(),
    handlers: [...(service.handlers ?? [])],
    ...(probationMs !== undefined && { probation_ms: Math.round(probationMs) }),
    stored: replicas.flatMap((each) => storedOf(each, each.stored)),
    ...(service.heldBack !== undefined && { held_back: shownHold(service.heldBack) }),
    hibernate_after_idle_ms: spec.hibernateAfterMs,
    ...(service.rollout !== undefined && { rollout: shownRollout(service.rollout) }),
    instances: replicas.map((replica) => ({
      slot: replica.slot,
      state: replica.state,
      ...(replica.instance !== undefined && { instance_id: replica.instance.id }),
      revision: replica.revision.id,
      uptime_ms: uptimeMs(replica, clock),
      restarts: replica.record.counts.restarts,
      memory_bytes: replica.instance?.heapBytes ?? 0,
      mailbox_length: replica.mailboxLength,
    })),
  };
}
