/**
 * Puts a kernel together from its configuration and the machine it is on: data directory, walls,
 * gateways. Loaded once the configuration is known to be right, for it loads nearly everything.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ProcessLogger } from "#bin/logger.ts";
import { openCellHost } from "#bin/cell-host.ts";
import { preventCoreDumps } from "#bin/core-dumps.ts";
import { masterKeys } from "#bin/master-keys.ts";
import { readPage } from "#bin/doc-pages.ts";
import { announce, ownerToken, prepareDataDir } from "#bin/data-dir.ts";
import type { KernelPort } from "#api/kernel-port.ts";
import { systemClock } from "#base/clock.ts";
import type { LoadedConfig } from "#config/load.ts";
import type { Config } from "#config/schema.ts";
import { ConnectionCaps } from "#gateway/connection-caps.ts";
import { GrpcGateway } from "#gateway/grpc/gateway.ts";
import { MetricsServer } from "#gateway/metrics/server.ts";
import { RestGateway } from "#gateway/rest/gateway.ts";
import type { ServerTls } from "#gateway/tls/server-tls.ts";
import { Kernel } from "#kernel/kernel.ts";
import type { GatewayPart } from "#kernel/parts.ts";

/** Isolates that each cell keeps ready for the next deploy. */
const SPARE_ISOLATES = 3;

/** Resolves when the kernel is ready and announced. */
export async function bringUp(options: {
  loaded: LoadedConfig;
  version: string;
  log: ProcessLogger;
  onShutdown: (drainMs: number | undefined) => void;
  signal: AbortSignal;
}): Promise<Kernel> {
  const { loaded, version, log, onShutdown, signal } = options;
  const { config } = loaded;
  const { data_dir: dataDir, host, http_port, listen_port, metrics_port } = config.solo;
  const begun = performance.now();
  prepareDataDir(dataDir);
  const token = ownerToken(dataDir);
  const tls = await openTls(config, log);
  const caps = new ConnectionCaps({
    perAddress: config.limits.max_connections_per_address,
    perToken: config.limits.max_connections_per_token,
  });
  const cellHost = openCellHost({ mode: config.security.sandbox, node: process.execPath, log });
  const noDumps = preventCoreDumps({ pid: process.pid, log });
  const addresses = { http: "", grpc: "", metrics: null as string | null };
  // A gateway that restarts must come back where clients know it.
  const ports = { grpc: listen_port, rest: http_port, metrics: metrics_port };
  const gateways: GatewayPart[] = [
    {
      id: "grpc",
      start: async (kernel) => {
        const gateway = await GrpcGateway.start({
          kernel,
          host,
          port: ports.grpc,
          log,
          limits: {
            maxReceiveBytes: config.limits.max_body_bytes,
            maxConnections: config.limits.max_connections,
          },
          caps,
          tls,
        });
        ports.grpc = gateway.address.port;
        addresses.grpc = `${gateway.address.host}:${gateway.address.port}`;
        return gateway;
      },
    },
    {
      id: "rest",
      start: async (kernel) => {
        const gateway = await RestGateway.start({
          kernel,
          host,
          port: ports.rest,
          log,
          version,
          readPage,
          allowedHosts: config.security.allowed_hosts,
          limits: {
            bodyBytes: config.limits.max_body_bytes,
            connections: config.limits.max_connections,
          },
          caps,
          isSoloToken: (text) => text.startsWith("solo_"),
          tls,
        });
        ports.rest = gateway.address.port;
        addresses.http = gateway.address.url;
        return gateway;
      },
    },
  ];
  if (config.telemetry.metrics_enabled) {
    gateways.push({
      id: "metrics",
      start: async (kernel) => {
        // Scrapers carry no token; the port is the owner's to open or close.
        const open: KernelPort = {
          admit: (context) => kernel.admit(context),
          call: (name, input, context) => kernel.call(name, input, context),
          stream: (name, input, context) => kernel.stream(name, input, context),
          ingress: (request, context) => kernel.ingress(request, context),
          metrics: (context) => kernel.metrics({ ...context, credentials: { token } }),
        };
        const gateway = await MetricsServer.start({
          kernel: open,
          host,
          port: ports.metrics,
          log,
          tls,
        });
        ports.metrics = gateway.address.port;
        addresses.metrics = gateway.address.url;
        return gateway;
      },
    });
  }
  // Before the first secret is in memory.
  const [{ launch, image }] = await Promise.all([cellHost, noDumps]);
  const kernel = await Kernel.start(
    {
      loaded,
      onConfig: ({ solo }) => log.setLevel(solo.log_level),
      clock: systemClock,
      log,
      version,
      ownerToken: token,
      masterKeys: masterKeys(config, process.env),
      launch,
      cellArgs: [image, String(SPARE_ISOLATES), String(config.limits.memory_mb)],
      compilerVersion: versionOf("oxc-transform"),
      gateways,
      onShutdown,
    },
    signal,
  );
  welcome({ version, dataDir, addresses, kernel, ms: performance.now() - begun });
  announce(dataDir, addresses);
  return kernel;
}

/** Lives as long as the process. */
async function openTls({ security }: Config, log: ProcessLogger): Promise<ServerTls | undefined> {
  if (!security.tls) return undefined;
  const { ServerTls: Tls } = await import("#gateway/tls/server-tls.ts");
  return Tls.open({
    files: {
      cert: security.tls_cert,
      key: security.tls_key,
      clientCa: security.tls_client_ca,
      crl: security.tls_crl,
    },
    requireClient: security.require_mtls,
    log,
    clock: systemClock,
  });
}

function welcome(options: {
  version: string;
  dataDir: string;
  addresses: { http: string; grpc: string; metrics: string | null };
  kernel: Kernel;
  ms: number;
}): void {
  const { version, dataDir, addresses, kernel, ms } = options;
  const { running, asleep, missing } = kernel.bootReport;
  const lines = [
    `Solo ${version} is ready (${Math.round(ms)} ms, data in ${dataDir})`,
    `  REST     ${addresses.http}   (documentation: ${addresses.http}/docs)`,
    `  gRPC     ${addresses.grpc}`,
    ...(addresses.metrics === null ? [] : [`  metrics  ${addresses.metrics}/metrics`]),
    ...(running + asleep + missing.length > 0
      ? [
          `  services ${running} back${asleep > 0 ? `, ${asleep} asleep` : ""}${
            missing.length > 0
              ? `, ${missing.length} not: ${missing
                  .slice(0, 10)
                  .map(({ service }) => service)
                  .join(", ")} (solo boot-report)`
              : ""
          }`,
        ]
      : []),
    `Try it:  npx solo deploy examples/counter.ts --id counter && npx solo call counter increment`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function versionOf(name: string): string {
  const path = fileURLToPath(new URL(`../../node_modules/${name}/package.json`, import.meta.url));
  return `${name}@${(JSON.parse(readFileSync(path, "utf8")) as { version: string }).version}`;
}
