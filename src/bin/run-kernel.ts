/**
 * Runs a kernel in this process until it stops: configuration, signals, exit code.
 *
 * 1. The first SIGTERM or SIGINT drains and stops in order; the second ends at once.
 * 2. Exit codes are CONTRACT's: 0 stopped, 2 configuration, 3 could not start, 130 and 143
 *    forced, 1 anything else.
 * 3. A kernel that has ended, or never began, does not keep its process.
 */
import { readFileSync } from "node:fs";
import { createLogger } from "#bin/logger.ts";
import { withdraw } from "#bin/data-dir.ts";
import { ERRORS, EXIT, SoloError, toSoloError } from "#base/errors.ts";
import { loadConfig, type LoadedConfig } from "#config/load.ts";
import type { Kernel } from "#kernel/kernel.ts";
import type { StartFlags } from "#cli/powers.ts";

/** npm passes a terminal's Ctrl-C on, which the terminal has sent already: one press, two signals. */
const SAME_SIGNAL_MS = 500;

/** What is left of a kernel that has ended may take so long to let go of the process. */
const LEAVE_MS = 3000;

export interface RunOptions {
  readonly flags: StartFlags;
  readonly version: string;
}

export async function runKernel(options: RunOptions): Promise<number> {
  const code = await run(options);
  setTimeout(() => {
    const left = [...new Set(process.getActiveResourcesInfo())].join(", ");
    process.stderr.write(`warning: the kernel has ended, but not all of it: ${left}\n`);
    process.exit(code);
  }, LEAVE_MS).unref();
  return code;
}

async function run({ flags, version }: RunOptions): Promise<number> {
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig({
      argvFlags: { ...flags },
      env: process.env,
      cwd: process.cwd(),
      readFile: (path) => readFileSync(path, "utf8"),
    });
  } catch (error) {
    return report(error, EXIT.USAGE);
  }
  const { config } = loaded;
  const log = createLogger({
    level: config.solo.log_level,
    format: config.telemetry.log_format,
    stream: process.stderr,
  });
  const stop = Promise.withResolvers<{ reason: string; drainMs?: number | undefined }>();
  const starting = new AbortController();
  const forced = onSignals((signal) => {
    starting.abort();
    stop.resolve({ reason: signal });
  });
  let kernel: Kernel;
  try {
    const { bringUp } = await import("#bin/bring-up.ts");
    kernel = await bringUp({
      loaded,
      version,
      log,
      onShutdown: (drainMs) => stop.resolve({ reason: "shutdown", drainMs }),
      signal: starting.signal,
    });
  } catch (error) {
    if (starting.signal.aborted) return EXIT.OK;
    const { code } = toSoloError(error);
    return report(error, ERRORS[code].exit === EXIT.USAGE ? EXIT.USAGE : EXIT.CANNOT_START);
  }
  const ended = await Promise.race([stop.promise, kernel.failed.then(() => undefined)]);
  if (ended === undefined) {
    log.error("the kernel gave up: a part of it failed too often");
    withdraw(config.solo.data_dir);
    return EXIT.FAILED;
  }
  log.info("stopping", { reason: ended.reason });
  const code = await Promise.race([kernel.stop(ended).then(() => EXIT.OK), forced]);
  withdraw(config.solo.data_dir);
  if (code !== EXIT.OK) process.exit(code);
  log.info("stopped");
  return code;
}

/** Calls `first` at the first signal; the promise resolves with an exit code at the second. */
function onSignals(first: (signal: string) => void): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let last: { signal: string; at: number } | undefined;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (last === undefined) first(signal);
      else if (last.signal !== signal || now - last.at > SAME_SIGNAL_MS) resolve(code);
      last = { signal, at: now };
    });
  }
  return promise;
}

function report(error: unknown, exit: number): number {
  const known = error instanceof SoloError ? error : undefined;
  const lines =
    known === undefined
      ? [`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`]
      : [
          `error[${known.code}]: ${known.message}`,
          ...(known.options.fields ?? []).map(({ field, message }) => `  ${field}: ${message}`),
          ...(known.options.hint === undefined ? [] : [`hint: ${known.options.hint}`]),
        ];
  process.stderr.write(`${lines.join("\n")}\n`);
  return exit;
}
