/**
 * Every setting Solo has: the single source of types, checks, defaults and documentation.
 * A key carries its unit in its name; docs/configuration.md and config.example.toml are
 * generated from here, and a test keeps the three equal.
 */
import { z } from "zod";
import { parseHostPort } from "#base/net-host.ts";
import { boolean, choice, derivedPath, port, text, whole } from "#config/key.ts";
import { perTenant } from "#config/tenant-limits.ts";

export type { KeyMeta } from "#config/key.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const runtime = true;

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
const SANDBOX_MODES = ["auto", "require", "off"] as const;
const MASTER_KEY_SOURCES = ["auto", "environment", "passphrase", "credential", "file"] as const;
const ANALYSIS_LEVELS = ["off", "warn", "strict"] as const;
const LOG_FORMATS = ["auto", "json", "pretty"] as const;

const solo = z.strictObject({
  host: text({
    default: "127.0.0.1",
    is: "The address to listen on. Anything but a loopback address needs security.allow_remote.",
  }),
  listen_port: port({ default: 50_051, is: "The port for gRPC; 0 picks a free one." }),
  http_port: port({
    default: 8080,
    is: "The port for REST, event streams, the services' own HTTP and the documentation page; 0 picks a free one.",
  }),
  metrics_port: port({
    default: 9090,
    is: "The port for Prometheus metrics and health; 0 picks a free one.",
  }),
  data_dir: text({
    default: "./data",
    is: "The directory of everything that must survive: events, state, the owner's token. Relative to the working directory.",
  }),
  max_tenants: whole(1, 100_000, { default: 100, runtime, is: "How many tenants may exist." }),
  open_tenants: boolean({
    default: true,
    runtime,
    is: "Whether a deploy may bring a tenant into being; otherwise tenants are created first.",
  }),
  log_level: choice(LOG_LEVELS, {
    default: "info",
    runtime,
    is: "The least severe message that is logged.",
  }),
});

/** Of the runtime monitor. */
const pressure = (max: number, standard: number, of: string) =>
  whole(0, max, {
    default: standard,
    is: `${of}, beyond which the kernel is under pressure: runtime_pressure_high is recorded and new deploys are refused. 0 turns the watch off.`,
  });

const limits = z.strictObject({
  ...perTenant,
  max_total: whole(0, 1_000_000, {
    default: 1000,
    runtime,
    is: "How many services may exist in all.",
  }),
  revisions_kept: whole(1, 1000, {
    default: 20,
    is: "How many entries of a service's history of revisions are kept; what none of them names is forgotten.",
  }),
  max_source_bytes: whole(1, 12 * MIB, {
    default: 4 * MIB,
    runtime,
    is: "The size of one deployment's source, all files together.",
  }),
  hibernate_after_idle_ms: whole(0, 2_147_483_647, {
    default: 0,
    runtime,
    is: "An instance of a hybrid or durable service that has had nothing to do for so long is evicted; the next message or timer wakes it. 0: never, unless a deployment says so (hibernation).",
  }),
  max_body_bytes: whole(1024, GIB, {
    default: 16 * MIB,
    is: "The size of one request to REST or gRPC. Bodies of the services' own HTTP are streamed and not held to it.",
  }),
  pressure_heap_percent: pressure(100, 85, "Of the heap that the kernel may have, in per cent"),
  pressure_loop_delay_ms: pressure(
    60_000,
    500,
    "The 99th percentile of the event loop's delay, in milliseconds",
  ),
  pressure_descriptors_percent: pressure(
    100,
    80,
    "Of the descriptors that the kernel may have open, in per cent",
  ),
  pressure_cells: pressure(100_000, 500, "Cell processes"),
  pressure_instances: pressure(1_000_000, 20_000, "Instances of services"),
  pressure_disk_free_mb: pressure(1_048_576, 256, "Free space where data_dir is, in mebibytes"),
  pressure_memory_free_mb: pressure(1_048_576, 128, "Memory that is left, in mebibytes"),
  max_connections: whole(1, 1_000_000, {
    default: 4096,
    is: "How many connections gRPC may have, and REST.",
  }),
  max_connections_per_address: whole(1, 1_000_000, {
    default: 2048,
    is: "How many connections may come from one address, to gRPC and REST together.",
  }),
  max_connections_per_token: whole(1, 1_000_000, {
    default: 1024,
    is: "How many connections may use one token, to gRPC and REST together; ingress to services does not count.",
  }),
  drain_ms: whole(0, HOUR_MS, {
    default: 30_000,
    runtime,
    is: "How long a stopping kernel waits for work in flight.",
  }),
  spare_cells: whole(0, 64, {
    default: 2,
    is: "How many cell processes wait, already started, for the next tenant.",
  }),
  compilers: whole(1, 256, {
    default: 4,
    is: "How many tenants' sources are compiled at the same moment, each in a process that reads no other tenant's.",
  }),
});

const analysis = choice(ANALYSIS_LEVELS, {
  default: "warn",
  runtime,
  is: "What the rules of static analysis do to a deploy: off looks at nothing, warn answers with what they found, strict refuses the deploy for findings that are errors.",
});

const telemetry = z.strictObject({
  metrics_enabled: boolean({ default: true, is: "Whether metrics_port is opened." }),
  log_format: choice(LOG_FORMATS, {
    default: "auto",
    is: "How log lines look on standard error; auto is pretty on a terminal and JSON elsewhere.",
  }),
});

const security = z.strictObject({
  sandbox: choice(SANDBOX_MODES, {
    default: "auto",
    is: "The walls around services: auto builds the strongest that this machine can and says which are missing, require refuses to start without namespaces and a system call filter, off builds none.",
  }),
  analysis,
  allow_remote: boolean({
    default: false,
    is: "Whether host may be an address that other machines reach. Without tls, or something in front that adds it, tokens then cross the network unencrypted.",
  }),
  tls: boolean({
    default: false,
    is: "Whether gRPC, REST and metrics speak TLS, with the files below; `solo certs init` makes them.",
  }),
  require_mtls: boolean({
    default: false,
    is: "Whether every client must show a certificate that tls_client_ca vouches for; needs tls.",
  }),
  tls_cert: derivedPath({
    from: "<data_dir>/certs/server.pem",
    is: "The server's certificate, with the intermediate ones if there are any; PEM.",
  }),
  tls_key: derivedPath({
    from: "<data_dir>/certs/server.key",
    is: "The private key of tls_cert; PEM.",
  }),
  tls_client_ca: derivedPath({
    from: "<data_dir>/certs/ca.pem",
    is: "The authorities whose client certificates are accepted; PEM. Without the file no client is asked for one.",
  }),
  tls_crl: derivedPath({
    from: "<data_dir>/certs/crl.pem",
    is: "The revocation lists of these authorities; PEM. Without the file nothing counts as revoked.",
  }),
  allowed_hosts: z.array(z.string().min(1)).default([]).meta({
    description:
      "Host names, besides the loopback ones, under which browsers and clients may reach the HTTP port.",
    expected: "a list of host names",
    kind: "list",
    runtime: false,
  }),
  egress_private_hosts: z
    .array(z.string().refine((entry) => parseHostPort(entry) !== undefined))
    .default([])
    .meta({
      description:
        "Hosts, with or without a port, that services may reach although their addresses are not public; a capability must name them as well.",
      expected: 'a list of hosts such as "127.0.0.1:9000" or "db.internal"',
      kind: "list",
      runtime: false,
    }),
  master_key_from: choice(MASTER_KEY_SOURCES, {
    default: "auto",
    is: "Where the vault's master key comes from: SOLO_MASTER_KEY (environment), SOLO_MASTER_PASSPHRASE (passphrase), a systemd credential named solo-master-key, or a file in database.vault_db; auto takes the first of them that is there, and makes the file for a new vault.",
  }),
  rate_limit_per_capability: whole(1, 100_000_000, {
    default: 1000,
    is: "How many uses a minute a capability has that says nothing itself. Uses of what was derived from it count as well.",
  }),
  audit_verified_every: whole(0, 1_000_000_000, {
    default: 1000,
    is: "One of so many checks that passed is recorded as capability_verified; 0 records none. Denials are always recorded.",
  }),
});

const egress = z.strictObject({
  timeout_ms: whole(1, HOUR_MS, {
    default: 60_000,
    is: "How long a request of a service to another host may take, from its start to its answer's last byte.",
  }),
  max_request_bytes: whole(0, 6 * MIB, {
    default: 4 * MIB,
    is: "The size of one request's body.",
  }),
  max_response_bytes: whole(0, 16 * GIB, {
    default: 64 * MIB,
    is: "The size of one answer's body, after it was unpacked.",
  }),
  max_per_service: whole(1, 1000, {
    default: 32,
    is: "How many requests of one service are under way at a time; more wait.",
  }),
  max_per_tenant: whole(1, 2000, {
    default: 128,
    is: "How many requests of one tenant's services are under way at a time; more wait.",
  }),
  max_idle_connections: whole(0, 10_000, {
    default: 64,
    is: "How many connections are kept open in all for a service's next request to the same origin.",
  }),
});

const database = z.strictObject({
  events_db: derivedPath({
    from: "<data_dir>/events",
    is: "Where the event log is kept.",
  }),
  vault_db: derivedPath({
    from: "<data_dir>/vault",
    is: "The directory of the vault's master key, when it is kept in a file. The sealed secrets are in data_dir: neither opens anything without the other.",
  }),
});

const overridable = z.strictObject({ ...perTenant, analysis });
/** Defaults are the kernel's own limits, so a tenant's table has none of its own. */
export type TenantLimits = Readonly<z.output<typeof overridable>>;

export const SECTIONS = { solo, limits, telemetry, security, egress, database } as const;
export const TENANT_SECTION = overridable;

type Frozen<T> = T extends readonly (infer E)[]
  ? readonly E[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

/** Every derived default filled in. */
type Complete<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The settings a kernel runs with: complete, checked, frozen; paths are absolute. */
export type Config = Frozen<{
  solo: z.output<typeof solo>;
  limits: z.output<typeof limits>;
  telemetry: z.output<typeof telemetry>;
  security: Complete<z.output<typeof security>>;
  egress: z.output<typeof egress>;
  database: Complete<z.output<typeof database>>;
  tenants: Record<string, Partial<TenantLimits>>;
}>;
