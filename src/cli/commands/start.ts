/** `solo start`: hands the flags to the entry point, which alone can run a kernel. */
import { Option } from "commander";
import type { CommandSpec } from "#cli/command-spec.ts";
import { port } from "#cli/values.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"];

const options = [
  new Option("--http-port <n>", "REST, SSE, MCP, docs; 0 picks a free port.").argParser(port),
  new Option("--listen-port <n>", "gRPC; 0 picks a free port.").argParser(port),
  new Option("--metrics-port <n>", "Prometheus metrics; 0 picks a free port.").argParser(port),
  new Option("--host <address>", "The address to listen on; 127.0.0.1 unless configured."),
  new Option("--log-level <level>", "How much the kernel logs.").choices(LOG_LEVELS),
];

interface Flags {
  readonly httpPort?: number;
  readonly listenPort?: number;
  readonly metricsPort?: number;
  readonly host?: string;
  readonly logLevel?: string;
}

export const start: CommandSpec = {
  name: "start",
  heading: "Kernel:",
  summary: "Run a kernel until it is told to stop.",
  description: `Run a kernel until it is told to stop (Ctrl-C, or \`solo shutdown\`).
The first start writes the owner's token to <data_dir>/owner-token; where the kernel
listens is written to <data_dir>/kernel.json. Flags go before environment and file.`,
  options,
  examples: ["solo start", "solo start --data-dir /var/lib/solo --http-port 0"],
  async run(session, given) {
    const { httpPort, listenPort, metricsPort, host, logLevel }: Flags = given.options;
    return session.powers.startKernel({
      ...session.configFlags(),
      ...(httpPort !== undefined && { "http-port": httpPort }),
      ...(listenPort !== undefined && { "listen-port": listenPort }),
      ...(metricsPort !== undefined && { "metrics-port": metricsPort }),
      ...(host !== undefined && { host }),
      ...(logLevel !== undefined && { "log-level": logLevel }),
    });
  },
};
