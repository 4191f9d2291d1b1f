/**
 * Settings from outside a file: environment variables and command line flags.
 * Both are text; what does not read as its key's type is left as it is, for the check to refuse.
 */
import { KEYS, MAIN_SECTION, keyAt, keyOfEnv, pathOf, type ConfigKey } from "#config/keys.ts";
import { nearest } from "#base/nearest.ts";
import type { ReadResult } from "#config/read-toml.ts";
import type { Problem, Setting } from "#config/setting.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
/** By name without dashes: `http-port` (or httpPort), `limits.memory_mb`; undefined is unset. */
export type Flags = Readonly<Record<string, string | number | boolean | undefined>>;

/** Variables that begin with SOLO_ and are not settings: the file, the command line client's,
 *  and keys, which must not show up where settings do. */
const NOT_SETTINGS = new Set([
  "SOLO_CONFIG",
  "SOLO_TOKEN",
  "SOLO_URL",
  "SOLO_CA",
  "SOLO_CERT",
  "SOLO_KEY",
  "SOLO_MASTER_KEY",
  "SOLO_MASTER_KEY_PREVIOUS",
  "SOLO_MASTER_PASSPHRASE",
  "SOLO_MASTER_PASSPHRASE_PREVIOUS",
]);
/** Kubernetes sets these in every pod beside a service named "solo". */
const KUBERNETES = /^SOLO_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)$/;

const WHOLE = /^-?\d{1,15}$/;

function fromText(key: ConfigKey, text: string): unknown {
  switch (key.kind) {
    case "whole":
      return WHOLE.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "list":
      return text === "" ? [] : text.split(",").map((each) => each.trim());
    case "text":
      return text;
  }
}

export function readEnvironment(env: Environment): ReadResult {
  const settings: Setting[] = [];
  const problems: Problem[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith("SOLO_")) continue;
    if (NOT_SETTINGS.has(name) || KUBERNETES.test(name)) continue;
    const key = keyOfEnv(name);
    const source = { layer: "environment", name } as const;
    if (key) {
      settings.push({ path: [key.section, key.name], value: fromText(key, text), source });
      continue;
    }
    // A slip of the pen is refused; a name that is like none of ours is somebody else's.
    const meant = nearest(name, [...KEYS.map((each) => each.env ?? ""), ...NOT_SETTINGS]);
    if (meant === undefined) continue;
    problems.push({ path: name, source, message: `unknown setting; did you mean ${meant}?` });
  }
  return { settings, problems };
}

/** `http-port`, `httpPort` → `solo.http_port`; `limits.memory-mb` → `limits.memory_mb`. */
function pathOfFlag(name: string): readonly string[] {
  const snake = name.replaceAll("-", "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return snake.includes(".") ? pathOf(snake) : [MAIN_SECTION, snake];
}

const flagName = (name: string) =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

export function readFlags(flags: Flags): readonly Setting[] {
  return Object.entries(flags).flatMap(([name, given]) => {
    if (given === undefined || name === "config") return [];
    const path = pathOfFlag(name);
    const key = keyAt(path);
    const value = key && typeof given === "string" ? fromText(key, given) : given;
    return [{ path, value, source: { layer: "flag", name: flagName(name) } }];
  });
}
