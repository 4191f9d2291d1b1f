/**
 * Completes package-lock.json with the optional packages of other platforms.
 *
 * npm leaves an optional package out of the lock when the registry it was run against cannot
 * serve it (npm/cli#4828), and then `npm ci` refuses the lock everywhere. The packages left out
 * are always platform builds, pinned exactly by their parent, with the platform in their name,
 * so the missing entries can be written from what the lock already says. They carry neither
 * address nor integrity: npm adds those when a machine of that platform installs.
 *
 * Run after adding or updating a dependency: `npm run lock`.
 */
import { readFileSync, writeFileSync } from "node:fs";

export interface LockEntry {
  readonly version?: string;
  readonly cpu?: readonly string[];
  readonly os?: readonly string[];
  readonly libc?: readonly string[];
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const OS = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const CPU: Readonly<Record<string, string>> = {
  x64: "x64",
  arm64: "arm64",
  aarch64: "arm64",
  arm: "arm",
  armv7: "arm",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
};

/** `binding-linux-x64-musl` → linux, x64, musl. */
function platformOf(name: string): { os: string; cpu: string; libc: string | undefined } {
  const words = name.slice(name.lastIndexOf("/") + 1).split("-");
  const os = OS.find((each) => words.includes(each));
  const cpu = words.map((word) => CPU[word]).find((each) => each !== undefined);
  if (os === undefined || cpu === undefined) throw new Error(`No platform in the name ${name}`);
  const libc = words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => word.startsWith("gnu"))
      ? "glibc"
      : undefined;
  return { os, cpu, libc };
}

/** The entries that are missing, by their key in `packages`. */
export function missingEntries(lock: Lock): Record<string, LockEntry> {
  const missing: Record<string, LockEntry> = {};
  for (const [parentKey, parent] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const key = `node_modules/${name}`;
      if (lock.packages[key] || lock.packages[`${parentKey}/${key}`]) continue;
      const { os, cpu, libc } = platformOf(name);
      missing[key] = {
        version,
        cpu: [cpu],
        ...(parent.dev === true && { dev: true }),
        ...(libc !== undefined && { libc: [libc] }),
        optional: true,
        os: [os],
      };
    }
  }
  return missing;
}

if (import.meta.main) {
  const path = new URL("../package-lock.json", import.meta.url);
  const lock = JSON.parse(readFileSync(path, "utf8")) as Lock;
  const missing = missingEntries(lock);
  const keys = Object.keys({ ...lock.packages, ...missing }).toSorted();
  const packages = Object.fromEntries(keys.map((key) => [key, lock.packages[key] ?? missing[key]]));
  writeFileSync(path, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
  console.log(`package-lock.json: ${Object.keys(missing).length} entries added`);
}
