/**
 * `solo`, as a function of its powers.
 *
 * 1. It returns the exit code; it neither exits nor reads the process.
 * 2. Standard output holds the result and nothing else; every error goes to standard error,
 *    with its code, in one of two forms: for people, or with --json as one JSON document.
 */
import { CommanderError } from "commander";
import { EXIT, type SoloError, toSoloError } from "#base/errors.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { Output } from "#cli/output.ts";
import type { CliPowers } from "#cli/powers.ts";
import { buildProgram } from "#cli/program.ts";
import { renderError } from "#cli/render/error.ts";
import { coloured, plain } from "#cli/render/paint.ts";
import { type GlobalOptions, Session, wantsColour } from "#cli/session.ts";
import { UsageError, exitCodeOf } from "#cli/usage-error.ts";

const DEFAULT_COLUMNS = 100;
const SEE_HELP = "See `solo --help`.";

/** Read off the words themselves: it must hold also when they cannot be parsed. */
function flagGiven(argv: readonly string[], flag: string): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? argv.length : end).includes(flag);
}

/** commander's text, "error: unknown option '--x'\n(Did you mean --y?)", as a detail and a hint. */
function usageError(error: CommanderError): UsageError {
  if (error.code === "commander.help") {
    return new UsageError("The command is not complete.", SEE_HELP);
  }
  const [detail = "", ...more] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = more.join(" ").replace(/^\((.*)\)$/, "$1");
  const sentence = detail.charAt(0).toUpperCase() + detail.slice(1).replace(/\.?$/, ".");
  return new UsageError(sentence, [suggestion, SEE_HELP].filter((text) => text !== "").join(" "));
}

export async function main(powers: CliPowers): Promise<number> {
  const { argv, version } = powers;
  const out = new Output(powers.stdout);
  const errors = new Output(powers.stderr);
  const colours = wantsColour(powers, !flagGiven(argv, "--no-color"));
  let exitCode: number = EXIT.OK;
  const helpText: string[] = [];

  const program = buildProgram({
    version,
    columns: powers.columns ?? DEFAULT_COLUMNS,
    colours,
    print: (text) => helpText.push(text),
    run: async (spec: CommandSpec, given: Given) => {
      exitCode = await spec.run(new Session(powers, program.opts<GlobalOptions>(), out), given);
    },
  });

  const fail = async (error: SoloError): Promise<number> => {
    const text = flagGiven(argv, "--json")
      ? JSON.stringify(error.toBody())
      : renderError(error, colours ? coloured : plain);
    await errors.line(text);
    return exitCodeOf(error);
  };

  // Nothing to do is no success, but what helps then is the help.
  const idle = argv.length === 0;
  try {
    await program.parseAsync(idle ? ["--help"] : argv, { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return fail(toSoloError(thrown));
    if (thrown.exitCode !== 0) return fail(usageError(thrown));
    await (idle ? errors : out).write(helpText.join(""));
    return idle ? EXIT.USAGE : EXIT.OK;
  }
}
