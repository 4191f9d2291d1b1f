/** The table of commands as a commander program. It reads no process and never exits. */
import { Command, Option } from "commander";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { commands, parents } from "#cli/commands.ts";
import { duration } from "#cli/values.ts";

const globalOptions = (): Option[] => [
  new Option("--json", "Print JSON: the answer on standard output, errors on standard error."),
  new Option("--tenant <tenant_id>", "The tenant to act for; only the owner may name another."),
  new Option(
    "--url <url>",
    "Where the kernel is; SOLO_URL or <data_dir>/kernel.json unless given.",
  ),
  new Option(
    "--token-file <file>",
    "A file with the token; SOLO_TOKEN or the owner's unless given.",
  ),
  new Option("--ca <file>", "The authority behind an https address; SOLO_CA unless given."),
  new Option("--cert <file>", "A client certificate to show; SOLO_CERT unless given."),
  new Option("--key <file>", "The key of --cert; SOLO_KEY unless given."),
  new Option("--data-dir <dir>", "The kernel's data directory; ./data unless configured."),
  new Option(
    "--config <file>",
    "The configuration file; SOLO_CONFIG or ./config.toml unless given.",
  ),
  new Option("--timeout <duration>", "Longest wait for an answer, such as 500ms or 5s.").argParser(
    duration,
  ),
  new Option("--no-color", "No colours on a terminal; so does NO_COLOR."),
];

const AFTER_HELP = `
Exit codes:
  0 done  1 refused or failed  2 usage  4 not found  5 denied  6 no kernel  7 overloaded

Examples:
  solo start
  solo deploy counter.ts
  solo call counter increment 5
  solo events -f

Help for one command: solo <command> --help`;

export interface ProgramOptions {
  readonly version: string;
  readonly columns: number;
  readonly colours: boolean;
  readonly print: (text: string) => void;
  readonly run: (spec: CommandSpec, given: Given) => Promise<void>;
}

function addCommand(program: Command, spec: CommandSpec, options: ProgramOptions): void {
  const words = spec.name.split(" ");
  const name = words.pop() ?? "";
  const parent = words.reduce((at, word) => subcommand(at, word, spec), program);
  const command = parent
    .command(spec.positional ? `${name} ${spec.positional}` : name)
    .summary(spec.summary)
    .description(spec.description ?? spec.summary)
    .helpGroup(spec.heading)
    .action(async (...received: unknown[]) => {
      const given = received.at(-1);
      if (!(given instanceof Command)) throw new TypeError("commander passes the command last");
      await options.run(spec, { args: given.args, options: given.opts() });
    });
  for (const option of spec.options ?? []) command.addOption(option);
  if (spec.examples !== undefined) {
    const lines = spec.examples.map((line) => `  ${line}`);
    command.addHelpText("after", ["", "Examples:", ...lines].join("\n"));
  }
}

function subcommand(parent: Command, word: string, { heading }: CommandSpec): Command {
  return (
    parent.commands.find((command) => command.name() === word) ??
    parent
      .command(word)
      .description(parents[word] ?? "")
      .helpGroup(heading)
  );
}

export function buildProgram(options: ProgramOptions): Command {
  const { version, columns, colours, print } = options;
  const program = new Command("solo")
    .description("Solo: source code in; supervised, isolated, observable services out.")
    .version(version, "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Show help.")
    .helpCommand("help [command]", "Show help for a command.")
    .commandsGroup("Setup:")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: print,
      // Errors are thrown, and printed by main in one form for all of them.
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      getOutHasColors: () => colours,
      getErrHasColors: () => colours,
    })
    .exitOverride()
    .addHelpText("after", AFTER_HELP);
  for (const option of globalOptions()) program.addOption(option);
  for (const spec of commands) addCommand(program, spec, options);
  return program;
}
