/** What Prometheus reads (G5). Gauges are computed when they are asked for. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { ServiceKey } from "#base/ids.ts";
import type { Account } from "#egress/flight.ts";
import { WATCHED, type Readings, type Watched } from "#kernel/pressure.ts";
import { SERVICE_RESOURCES, TENANT_RESOURCES, type Resource } from "#limits/limit.ts";
import type { ServiceState } from "#kernel/services/replica/lifecycle.ts";

export interface MetricsSources {
  readonly services: () => Iterable<{
    readonly key: ServiceKey;
    readonly state: ServiceState;
    readonly memoryBytes: number;
    readonly mailboxLength: number;
    readonly cpuMs: number;
    readonly memoryLimitBytes: number;
    /** Infinity: none. */
    readonly cpuLimitPercent: number;
  }>;
  readonly tenants: () => Iterable<{
    readonly tenant: string;
    readonly cpuMs: number;
    readonly memoryBytes: number;
    readonly memoryLimitBytes: number;
    readonly cpuLimitPercent: number;
  }>;
  readonly cells: () => number;
  /** As the runtime monitor last read them. */
  readonly runtime: () => Readings | undefined;
  readonly eventHead: () => number;
}

type Measured<S extends () => Iterable<unknown>> =
  ReturnType<S> extends Iterable<infer T> ? T : never;

const REQUEST_BUCKETS_MS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000];

export class Metrics {
  readonly #registry = new Registry();
  readonly #deployments: Counter;
  readonly #crashes: Counter<"tenant" | "service">;
  readonly #transitions: Counter<"state">;
  readonly #egressRequests: Counter<"tenant" | "service">;
  readonly #egressBytes: Counter<"tenant" | "service" | "direction">;
  readonly #violations: Counter<"tenant" | "service" | "what" | "level">;
  readonly #startup: Histogram;
  readonly #requests: Histogram<"operation" | "code">;
  #sources: MetricsSources | undefined;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: "solo_" });
    this.#deployments = new Counter({
      name: "solo_deployment_count",
      help: "Deployments that started.",
      registers,
    });
    this.#crashes = new Counter({
      name: "solo_service_crashes_total",
      help: "Crashes of instances.",
      labelNames: ["tenant", "service"],
      registers,
    });
    this.#transitions = new Counter({
      name: "solo_service_transitions_total",
      help: "Changes of services' states, by the new state.",
      labelNames: ["state"],
      registers,
    });
    this.#egressRequests = new Counter({
      name: "solo_egress_requests_total",
      help: "Requests of services to other hosts, however they ended.",
      labelNames: ["tenant", "service"],
      registers,
    });
    this.#egressBytes = new Counter({
      name: "solo_egress_bytes_total",
      help: "Bytes of bodies of those requests (sent) and of their answers (received).",
      labelNames: ["tenant", "service", "direction"],
      registers,
    });
    this.#violations = new Counter({
      name: "solo_resource_violations_total",
      help: "Limits that were approached or exceeded, as told in resource_violation; service is empty for a tenant's own.",
      labelNames: ["tenant", "service", "what", "level"],
      registers,
    });
    this.#startup = new Histogram({
      name: "solo_service_startup_ms",
      help: "From a deploy's arrival to ready, ms.",
      buckets: REQUEST_BUCKETS_MS,
      registers,
    });
    this.#requests = new Histogram({
      name: "solo_request_duration_ms",
      help: "Operations through any gateway, ms.",
      labelNames: ["operation", "code"],
      buckets: REQUEST_BUCKETS_MS,
      registers,
    });
    this.#gauges();
  }

  /** Where gauges look; set once the parts exist. */
  observe(sources: MetricsSources): void {
    this.#sources = sources;
  }

  deployed(ms: number): void {
    this.#deployments.inc();
    this.#startup.observe(ms);
  }

  crashed(key: ServiceKey): void {
    this.#crashes.inc({ tenant: key.tenant, service: key.service });
  }

  violated(labels: { tenant: string; service: string; what: Resource; level: string }): void {
    this.#violations.inc(labels);
  }

  /** The tenant has nothing left. */
  forgetTenant(tenant: string): void {
    this.#forgetViolations({ tenant, service: "" }, TENANT_RESOURCES);
  }

  forget(key: ServiceKey): void {
    this.#forgetViolations(key, SERVICE_RESOURCES);
    const labels = { tenant: key.tenant, service: key.service };
    this.#crashes.remove(labels);
    this.#egressRequests.remove(labels);
    for (const direction of ["sent", "received"]) {
      this.#egressBytes.remove({ ...labels, direction });
    }
  }

  #forgetViolations(
    { tenant, service }: { tenant: string; service: string },
    resources: readonly Resource[],
  ): void {
    for (const what of resources) {
      for (const level of ["approach", "exceeded"])
        this.#violations.remove({ tenant, service, what, level });
    }
  }

  egress({ tenant, service }: ServiceKey, { sentBytes, receivedBytes }: Account): void {
    this.#egressRequests.inc({ tenant, service });
    this.#egressBytes.inc({ tenant, service, direction: "sent" }, sentBytes);
    this.#egressBytes.inc({ tenant, service, direction: "received" }, receivedBytes);
  }

  stateChanged(_: ServiceKey, state: ServiceState): void {
    this.#transitions.inc({ state });
  }

  requested(operation: string, code: string, ms: number): void {
    this.#requests.observe({ operation, code }, ms);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauges(): void {
    const sources = () => this.#sources;
    const registers = [this.#registry];
    const labelNames = ["tenant", "service"] as const;
    const perService = (
      name: string,
      help: string,
      read: (service: Measured<MetricsSources["services"]>) => number,
    ) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const service of sources()?.services() ?? []) {
            const { tenant, service: id } = service.key;
            const value = read(service);
            if (value !== Infinity) this.set({ tenant, service: id }, value);
          }
        },
      });
    perService(
      "solo_service_memory_bytes",
      "Heap of the instance, as last measured.",
      (each) => each.memoryBytes,
    );
    perService(
      "solo_service_mailbox_length",
      "Messages that wait or are handled.",
      (each) => each.mailboxLength,
    );
    perService(
      "solo_service_cpu_ms",
      "CPU time of the service's instances, ms.",
      (each) => each.cpuMs,
    );
    perService(
      "solo_service_memory_limit_bytes",
      "What one instance may hold.",
      (each) => each.memoryLimitBytes,
    );
    perService(
      "solo_service_cpu_limit_percent",
      "CPU time that it may use over 5 s, of one core; absent without a limit.",
      (each) => each.cpuLimitPercent,
    );
    const perTenant = (
      name: string,
      help: string,
      read: (tenant: Measured<MetricsSources["tenants"]>) => number,
    ) =>
      new Gauge({
        name,
        help,
        labelNames: ["tenant"],
        registers,
        collect() {
          this.reset();
          for (const each of sources()?.tenants() ?? []) {
            const value = read(each);
            if (value !== Infinity) this.set({ tenant: each.tenant }, value);
          }
        },
      });
    perTenant(
      "solo_tenant_cpu_ms",
      "CPU time of the tenant's processes, as the operating system counts it, ms.",
      (each) => each.cpuMs,
    );
    perTenant(
      "solo_tenant_memory_bytes",
      "Memory of the tenant's processes, as the operating system counts it.",
      (each) => each.memoryBytes,
    );
    perTenant(
      "solo_tenant_memory_limit_bytes",
      "What the tenant's processes may hold together.",
      (each) => each.memoryLimitBytes,
    );
    perTenant(
      "solo_tenant_cpu_limit_percent",
      "CPU time that they may use over 5 s, of one core; absent without a limit.",
      (each) => each.cpuLimitPercent,
    );
    const overall = (name: string, help: string, read: () => number | undefined) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read() ?? 0);
        },
      });
    overall("solo_active_services", "Services that run.", () => {
      let active = 0;
      for (const { state } of sources()?.services() ?? []) if (state === "running") active += 1;
      return active;
    });
    overall("solo_cells", "Cell processes.", () => sources()?.cells());
    for (const what of Object.keys(WATCHED) as Watched[]) {
      overall(`solo_runtime_${what}`, WATCHED[what], () => sources()?.runtime()?.[what]);
    }
    overall("solo_events_last_id", "Newest event on disk.", () => sources()?.eventHead());
  }
}
