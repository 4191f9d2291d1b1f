/** `solo doctor`: which walls stand around services on this machine. Needs no kernel. */
import { Option } from "commander";
import { EXIT } from "#base/errors.ts";
import type { CommandSpec } from "#cli/command-spec.ts";

export const doctor: CommandSpec = {
  name: "doctor",
  heading: "Setup:",
  summary: "Show which walls stand around services on this machine.",
  description: `Show which walls stand around services on this machine: what each one is, what is
exposed where one is missing, and how to get it. Walls are tried, never guessed.
Exits with 0 when every essential wall stands, with 1 otherwise.`,
  options: [
    new Option(
      "--attack",
      "Also run hostile services against a kernel made for that; about two minutes.",
    ),
  ],
  examples: ["solo doctor", "solo doctor --attack"],
  async run(session, given) {
    const { ok, report } = await session.powers.doctor({
      attack: given.options["attack"] === true,
      tell: (text) => (session.json ? Promise.resolve() : session.out.write(text)),
      signal: session.signal,
    });
    if (session.json) await session.out.json(report);
    return ok ? EXIT.OK : EXIT.FAILED;
  },
};
