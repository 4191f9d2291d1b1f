/** What tests hand to the command line: a kernel that only echoes, and a page for every name. */
import type { CliPowers } from "#cli/powers.ts";

export type TestedPowers = Pick<
  CliPowers,
  "argv" | "env" | "cwd" | "stdin" | "stdout" | "stderr" | "signal"
>;

export const cliPowers = (powers: TestedPowers): CliPowers => ({
  ...powers,
  isTTY: powers.env["TEST_TTY"] === "1",
  columns: 100,
  version: "9.9.9",
  startKernel: async (flags) => {
    powers.stdout.write(`${JSON.stringify(flags)}\n`);
    return 3;
  },
  readPage: async (name) => `# ${name}`,
  doctor: async ({ attack }) => ({ ok: !attack, report: { attack } }),
});
