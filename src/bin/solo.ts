/** The `solo` command: hands the powers of the process to the command line. Begun by bin/entry.js. */
import { readFileSync } from "node:fs";
import { main } from "#cli/main.ts";

const manifest = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

const interrupted = new AbortController();
const isStart = process.argv[2] === "start";
let interruptedBy: number | undefined;
if (!isStart) {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      if (interruptedBy !== undefined) process.exit(code);
      interruptedBy = code;
      interrupted.abort();
    });
  }
}

process.exitCode = await main({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  ...(process.stdin.isTTY && {
    askHidden: async (prompt: string) => {
      const { askHidden } = await import("#bin/ask-hidden.ts");
      return askHidden(prompt, { input: process.stdin, output: process.stderr });
    },
  }),
  isTTY: process.stdout.isTTY,
  columns: process.stdout.columns,
  version: manifest.version,
  signal: interrupted.signal,
  startKernel: async (flags) => {
    const { runKernel } = await import("#bin/run-kernel.ts");
    return runKernel({ flags, version: manifest.version });
  },
  readPage: async (name) => {
    const { readPage } = await import("#bin/doc-pages.ts");
    return readPage(name);
  },
  doctor: async (request) => {
    const { runDoctor } = await import("#bin/doctor.ts");
    return runDoctor(request);
  },
});
