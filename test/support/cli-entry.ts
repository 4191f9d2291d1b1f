/** `solo` for subprocess tests. */
import { main } from "#cli/main.ts";
import { cliPowers } from "./cli-powers.ts";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const { argv, env, stdin, stdout, stderr } = process;
process.exitCode = await main(
  cliPowers({
    argv: argv.slice(2),
    env,
    cwd: process.cwd(),
    stdin,
    stdout,
    stderr,
    signal: stop.signal,
  }),
);
