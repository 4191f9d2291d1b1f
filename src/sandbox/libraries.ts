/** The shared libraries of a program, as this host's dynamic loader resolves them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SoloError } from "#base/errors.ts";

const run = promisify(execFile);
const LOADER_TIMEOUT_MS = 2_000;

/** `name => /path (0x…)`, or the loader itself as `/path (0x…)`. */
export function parseLoaderTrace(text: string): string[] {
  const paths = text.matchAll(/(?:=>|^)\s+(\/\S+) \(0x/gm);
  return [...new Set([...paths].map((match) => match[1]!))];
}

export interface Linked {
  readonly program: string;
  /** Native addons that the program will load: `.node` files. */
  readonly addons?: readonly string[];
}

/**
 * Asks the loader instead of running the program (LD_TRACE_LOADED_OBJECTS, as ldd does).
 * Only for programs that the host's owner installed. A static program has none.
 */
export async function sharedLibraries({ program, addons = [] }: Linked): Promise<string[]> {
  try {
    const own = parseLoaderTrace(await output(program, [], { LD_TRACE_LOADED_OBJECTS: "1" }));
    const loader = own.find((file) => /\/ld-[^/]+$/.test(file));
    const more =
      loader === undefined
        ? []
        : await Promise.all(addons.map((addon) => output(loader, ["--list", addon], {})));
    return [...new Set([...own, ...more.flatMap(parseLoaderTrace)])];
  } catch (error) {
    throw new SoloError("unavailable", "The dynamic loader does not list a program's libraries.", {
      hint: "Solo's sandbox needs a glibc-based Linux.",
      cause: error,
    });
  }
}

async function output(
  program: string,
  args: string[],
  env: Record<string, string>,
): Promise<string> {
  const { stdout } = await run(program, args, { env, timeout: LOADER_TIMEOUT_MS });
  return stdout;
}
