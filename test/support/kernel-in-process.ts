/**
 * A kernel inside the test's own process, without gateways unless given: for faults that
 * cannot be caused from outside, such as a cell that is not ours or a storage thread's end.
 *
 * 1. Cells and the compiler are real processes.
 * 2. Disposing leaves no process, thread, timer or file.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OperationName, OutputOf } from "#api/catalogue.ts";
import type { IngressResponse } from "#api/kernel-port.ts";
import { prepareCellPrograms } from "#bin/cell-host.ts";
import { systemClock, type Clock } from "#base/clock.ts";
import { serviceId, tenantId } from "#base/ids.ts";
import { silentLogger, type Logger } from "#base/log.ts";
import { prepareImage } from "#cell/image.ts";
import { loadConfig } from "#config/load.ts";
import { launchPlain, type Launcher } from "#kernel/cells/launcher.ts";
import { Kernel } from "#kernel/kernel.ts";
import type { Faults } from "#kernel/faults.ts";
import type { GatewayPart } from "#kernel/parts.ts";
import type { Replica } from "#kernel/services/replica/replica.ts";

const CACHE_DIR = fileURLToPath(new URL("../../node_modules/.cache/solo", import.meta.url));
const TOKEN = `solo_${"t".repeat(43)}`;

export interface InProcessOptions {
  readonly launch?: Launcher;
  readonly gateways?: readonly GatewayPart[];
  /** As environment variables set them. */
  readonly env?: Readonly<Record<string, string>>;
  readonly log?: Logger;
  /** Kept afterwards when given; a fresh one otherwise. */
  readonly dataDir?: string;
  readonly faults?: Faults;
  readonly clock?: Clock;
}

export interface InProcessKernel extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly dataDir: string;
  /** The owner's. */
  readonly token: string;
  /** An operation as the owner, acting for the tenant. */
  ask<N extends OperationName>(name: N, input: object, tenant?: string): Promise<OutputOf<N>>;
  call(tenant: string, service: string, name: string, ...args: unknown[]): Promise<unknown>;
  /** Those of a service, as the kernel has them now. */
  replicas(tenant: string, service: string): readonly Replica[];
  /** GET / of the service's own HTTP. */
  ingress(tenant: string, service: string): Promise<IngressResponse>;
}

const launchWithoutWalls = async (): Promise<Launcher> =>
  launchPlain({ node: process.execPath, programs: await prepareCellPrograms() });

export async function startInProcess(options: InProcessOptions = {}): Promise<InProcessKernel> {
  const { gateways = [], log = silentLogger } = options;
  const launch = options.launch ?? (await launchWithoutWalls());
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "solo-in-process-"));
  const env = {
    SOLO_LIMITS_SPARE_CELLS: "0",
    SOLO_LIMITS_PRESSURE_LOOP_DELAY_MS: "0",
    SOLO_LIMITS_STARTUP_TIMEOUT_MS: "60000",
    ...options.env,
    SOLO_DATA_DIR: dataDir,
  };
  const loaded = loadConfig({ env, cwd: dataDir, readFile: refuseFiles });
  const kernel = await Kernel.start({
    loaded,
    clock: options.clock ?? systemClock,
    log,
    version: "0.0.0",
    ownerToken: TOKEN,
    masterKeys: { file: join(loaded.config.database.vault_db, "master-key") },
    launch,
    cellArgs: [
      await prepareImage({ cacheDir: CACHE_DIR }),
      "0",
      String(loaded.config.limits.memory_mb),
    ],
    compilerVersion: "test",
    gateways,
    ...(options.faults !== undefined && { faults: options.faults }),
    onShutdown: () => {},
  });
  // A program that a test kills writes nothing at its end.
  flushCompileCache();
  const ask: InProcessKernel["ask"] = (name, input, tenant) =>
    kernel.port.call(name, input, context(tenant));
  return {
    kernel,
    dataDir,
    token: TOKEN,
    ask,
    call: async (tenant, service_id, name, ...args) =>
      (await ask("Call", { service_id, name, args }, tenant)).reply,
    replicas: (tenant, service) =>
      kernel.tenants.get({ tenant: tenantId(tenant), service: serviceId(service) }).replicas,
    ingress: (tenant, service) =>
      kernel.port.ingress(
        { tenant, service, method: "GET", url: "http://localhost/", headers: [], body: undefined },
        context(),
      ),
    async [Symbol.asyncDispose]() {
      await kernel.stop({ reason: "test", drainMs: 0 });
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const context = (tenant?: string) => ({
  credentials: { token: TOKEN, ...(tenant !== undefined && { tenant }) },
  signal: new AbortController().signal,
});

function refuseFiles(): never {
  throw Object.assign(new Error("There is no file."), { code: "ENOENT" });
}
