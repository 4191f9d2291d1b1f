/**
 * Starts a TypeScript entry under a Node that can run it: this one, or the one that
 * `npm install` put beside Solo. Plain JavaScript that old Nodes understand.
 *
 * 1. The entry sees the same arguments, environment, directory and standard streams.
 * 2. Its exit code becomes ours; a death by signal becomes 128 plus the signal's number.
 * 3. A signal reaches it exactly once: what a terminal already sends to the whole group is
 *    not sent again, since a second SIGINT means "stop at once".
 * 4. npx puts a shell between itself and us, which SIGTERM ends without a word to us. The end
 *    of that shell is therefore taken as the SIGTERM.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = [24, 15];
const CANNOT_START = 3;
const SHELL_CHECK_MS = 200;

function isNewEnough(version) {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

/** The binary of the npm package `node`, or undefined when it is not installed. */
function installedNode() {
  try {
    const require = createRequire(import.meta.url);
    const manifest = require.resolve("node/package.json");
    const binary = join(dirname(manifest), require(manifest).bin.node);
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

function runUnder(node, entry) {
  const child = spawn(node, [fileURLToPath(entry), ...process.argv.slice(2)], { stdio: "inherit" });
  const onTerminal = [process.stdin, process.stdout, process.stderr].some((each) => each.isTTY);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    const sentToGroup = onTerminal && signal !== "SIGTERM";
    process.on(signal, () => {
      if (!sentToGroup) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    console.error(`Solo could not run ${node}: ${error.message}`);
    process.exit(CANNOT_START);
  });
  child.on("exit", (code, signal) => {
    process.exit(signal === null ? code : 128 + constants.signals[signal]);
  });
}

function endWithShell() {
  if (process.env.npm_command !== "exec") return;
  const shell = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, SHELL_CHECK_MS);
  watch.unref();
}

export function launch({ entry, version = process.version }) {
  endWithShell();
  if (isNewEnough(version)) return import(entry.href);
  const node = installedNode();
  if (node !== undefined) return runUnder(node, entry);
  console.error(
    `Solo needs Node ${OLDEST_NODE.join(".")} or newer and this is ${version}. ` +
      "Run `npm install` in Solo's directory: it brings its own.",
  );
  process.exit(CANNOT_START);
}
