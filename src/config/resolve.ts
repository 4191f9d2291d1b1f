/**
 * From everything that was written, in order, to one checked value.
 *
 * 1. The last setting of a key wins; every setting is checked, also one that lost.
 * 2. Nothing is clamped or ignored: an unknown key or a wrong value is a problem, and all
 *    problems are found in one pass.
 * 3. The value of an unknown key is never repeated: it may be a secret in the wrong place.
 */
import { resolve as absolute } from "node:path";
import { KEYS, isTable, keyAt, namesBeside, type ConfigKey } from "#config/keys.ts";
import { nearest } from "#base/nearest.ts";
import type { Config } from "#config/schema.ts";
import { foundText, type Problem, type Setting, type Source } from "#config/setting.ts";

export interface Resolved {
  readonly config: Config;
  /** By `section.key`: every key of every section, and each tenant's own. */
  readonly sources: ReadonlyMap<string, Source>;
  readonly problems: readonly Problem[];
}

interface Winner {
  readonly value: unknown;
  readonly source: Source;
}

const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** The shortest beginning of `path` that nothing known stands at. */
function unknownPart(path: readonly string[]): readonly string[] {
  const end = path.findIndex((_, index) => {
    const part = path.slice(0, index + 1);
    return !isTable(part) && keyAt(part) === undefined;
  });
  return end === -1 ? path : path.slice(0, end + 1);
}

function unknownMessage(path: readonly string[]): string {
  const last = path.at(-1) ?? "";
  const elsewhere = KEYS.find((key) => key.name === last)?.path;
  const sibling = nearest(last, namesBeside(path));
  const meant = sibling ? [...path.slice(0, -1), sibling].join(".") : elsewhere;
  if (path[0] === "tenants" && path.length === 2) return "not a tenant's name";
  return `unknown setting${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

/** The problem with one setting, or the key it is a right value for, or neither for a table. */
function judge(setting: Setting): Problem | ConfigKey | undefined {
  const { path, value, source } = setting;
  const at = (part: readonly string[], message: string) => ({
    path: part.join("."),
    source,
    message,
  });
  const key = keyAt(path);
  if (key) {
    const right = !isObject(value) && key.schema.safeParse(value).success;
    return right ? key : at(path, `expected ${key.expected}, found ${foundText(value)}`);
  }
  if (isTable(path)) {
    return isObject(value) ? undefined : at(path, `expected a section, found ${foundText(value)}`);
  }
  const valueAbove = path.findIndex((_, index) => keyAt(path.slice(0, index)) !== undefined);
  if (valueAbove !== -1) {
    const part = path.slice(0, valueAbove);
    return at(part, `expected ${keyAt(part)!.expected}, found a table`);
  }
  const part = unknownPart(path);
  return at(part, unknownMessage(part));
}

/** What the default of a path in the data directory begins with. */
const DATA_DIR = "<data_dir>";

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/i;

/** Rules between keys; each names the setting that has to change. */
function crossProblems(config: Config, sources: ReadonlyMap<string, Source>): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: string, message: string) =>
    problems.push({ path, source: sources.get(path) ?? { layer: "default" }, message });
  const { solo, security } = config;

  if (!LOOPBACK.test(solo.host) && !security.allow_remote) {
    refuse(
      "solo.host",
      `expected a loopback address (127.0.0.1, ::1, localhost), found ${foundText(solo.host)}: ` +
        "whoever reaches this address could use stolen tokens, and without security.tls read them on the way; " +
        "set security.allow_remote = true if other machines are meant to reach it",
    );
  }
  if (security.require_mtls && !security.tls) {
    refuse(
      "security.require_mtls",
      "expected security.tls = true beside it: without TLS there are no certificates",
    );
  }
  const ports = ["listen_port", "http_port", "metrics_port"] as const;
  for (const [index, name] of ports.entries()) {
    const other = ports.slice(0, index).find((each) => solo[each] === solo[name]);
    if (other !== undefined && solo[name] !== 0) {
      refuse(
        `solo.${name}`,
        `expected a port of its own, found ${solo[name]}, which is solo.${other}`,
      );
    }
  }
  return problems;
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

/** `settings` in rising precedence; relative paths are taken from `cwd`. */
export function resolve(settings: readonly Setting[], cwd: string): Resolved {
  const winners = new Map<string, Winner>(
    KEYS.map((key) => [key.path, { value: key.defaultValue, source: { layer: "default" } }]),
  );
  // Without a prototype: a tenant may be called toString.
  const tenants: Record<string, Record<string, unknown>> = Object.create(null);
  const problems = new Map<string, Problem>();

  for (const setting of settings) {
    const { path, value, source } = setting;
    const judged = judge(setting);
    if (judged === undefined) continue;
    if ("message" in judged) {
      // Everything below an unknown table has one and the same problem.
      const id = `${judged.path} ${source.layer}`;
      if (!problems.has(id)) problems.set(id, judged);
      continue;
    }
    winners.set(path.join("."), { value, source });
    const [section, tenant, name] = path;
    if (section === "tenants") (tenants[tenant!] ??= {})[name!] = value;
  }

  const value = (path: string) => winners.get(path)?.value;
  const dataDir = absolute(cwd, String(value("solo.data_dir")));
  const draft: Record<string, Record<string, unknown>> = { tenants };
  for (const key of KEYS) {
    const given = value(key.path);
    const section = (draft[key.section] ??= {});
    if (key.derivedDefault === undefined) section[key.name] = structuredClone(given);
    else {
      const fallback = key.derivedDefault.replace(DATA_DIR, () => dataDir);
      section[key.name] = typeof given === "string" ? absolute(cwd, given) : fallback;
    }
  }
  draft["solo"]!["data_dir"] = dataDir;

  const config = freeze(draft) as unknown as Config;
  const sources = new Map([...winners].map(([path, { source }]) => [path, source]));
  return { config, sources, problems: [...problems.values(), ...crossProblems(config, sources)] };
}
