/** `solo` for subprocess tests: hands the process's powers to main, with a kernel that only echoes. */
import { main } from "#cli/main.ts";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

process.exitCode = await main({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  isTTY: process.env["TEST_TTY"] === "1",
  columns: 100,
  version: "9.9.9",
  startKernel: async (flags) => {
    process.stdout.write(`${JSON.stringify(flags)}\n`);
    return 3;
  },
  readPage: async (name) => `# ${name}`,
  doctor: async ({ attack }) => ({ ok: !attack, report: { attack } }),
  signal: stop.signal,
});
