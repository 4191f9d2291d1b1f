/**
 * The configuration of a kernel: defaults → file → environment → flags → runtime updates,
 * the later winning. Wrong input is refused whole, every problem named with its place.
 */
import { resolve as absolute } from "node:path";
import { SoloError } from "#base/errors.ts";
import { keyAt, pathOf } from "#config/keys.ts";
import { readJson } from "#config/read-json.ts";
import { readEnvironment, readFlags, type Environment, type Flags } from "#config/read-outside.ts";
import { readToml, type ReadResult } from "#config/read-toml.ts";
import { resolve } from "#config/resolve.ts";
import type { Config } from "#config/schema.ts";
import { fieldOf, type Problem, type Setting, type Source } from "#config/setting.ts";

export interface LoadOptions {
  /** The flags given, by name without dashes; `config` names the file. */
  readonly argvFlags?: Flags;
  readonly env: Environment;
  readonly cwd: string;
  /** UTF-8 text of a file; throws as node:fs does. */
  readonly readFile: (path: string) => string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** By `section.key`: where its value comes from. */
  readonly sources: ReadonlyMap<string, Source>;
  /** The file that was read, if one was. */
  readonly file: string | undefined;
  /** What it was made from, for a later update. */
  readonly origin: { readonly settings: readonly Setting[]; readonly cwd: string };
}

/** Read when it exists and no other file is named. */
const DEFAULT_FILE = "config.toml";

function refuse(problems: readonly Problem[]): never {
  const fields = problems.map(fieldOf);
  const [first] = fields;
  const named = first?.field ? `${first.field}: ` : "";
  const others = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
  throw new SoloError(
    "config_invalid",
    `The configuration was refused: ${named}${first?.message ?? ""}${others}.`,
    { fields, hint: "docs/configuration.md lists every setting." },
  );
}

const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "reading it is not permitted",
  EISDIR: "it is a directory",
};

interface FileResult extends ReadResult {
  readonly file: string | undefined;
}

function readConfigFile({ argvFlags, env, cwd, readFile }: LoadOptions): FileResult {
  const flag = argvFlags?.["config"];
  const named: { file: string; source: Source } | undefined =
    flag !== undefined
      ? { file: String(flag), source: { layer: "flag", name: "--config" } }
      : env["SOLO_CONFIG"]
        ? { file: env["SOLO_CONFIG"], source: { layer: "environment", name: "SOLO_CONFIG" } }
        : undefined;
  const file = named?.file ?? DEFAULT_FILE;
  let text: string;
  try {
    text = readFile(absolute(cwd, file)).replace(/^\uFEFF/, "");
  } catch (error) {
    const code = errorCode(error);
    if (!named && code === "ENOENT") return { settings: [], problems: [], file: undefined };
    const reason = REASONS[code] ?? code;
    const source = named?.source ?? { layer: "file", file, line: 1, column: 1 };
    return refuse([{ path: "", source, message: `cannot read ${file}: ${reason}` }]);
  }
  const read = /\.jsonc?$/i.test(file) ? readJson : readToml;
  return { ...read({ file, text }), file };
}

export function loadConfig(options: LoadOptions): LoadedConfig {
  const { env, cwd, argvFlags = {} } = options;
  const file = readConfigFile(options);
  const outside = readEnvironment(env);
  const settings = [...file.settings, ...outside.settings, ...readFlags(argvFlags)];
  const { config, sources, problems } = resolve(settings, cwd);
  const all = [...file.problems, ...outside.problems, ...problems];
  if (all.length > 0) refuse(all);
  return { config, sources, file: file.file, origin: { settings, cwd } };
}

/** `loaded` with these settings changed, by `section.key`; only what may change at run time. */
export function updateConfig(
  loaded: LoadedConfig,
  updates: Readonly<Record<string, unknown>>,
): LoadedConfig {
  const source: Source = { layer: "runtime" };
  const changes = Object.entries(updates).map(([path, value]): Setting => ({
    path: pathOf(path),
    value,
    source,
  }));
  const fixed = changes.filter(({ path }) => keyAt(path)?.runtime === false);
  const settings = [...loaded.origin.settings, ...changes];
  const { config, sources, problems } = resolve(settings, loaded.origin.cwd);
  const all = [
    ...fixed.map(({ path }) => ({
      path: path.join("."),
      source,
      message: "cannot change while the kernel runs; set it and restart",
    })),
    ...problems,
  ];
  if (all.length > 0) refuse(all);
  return { ...loaded, config, sources, origin: { ...loaded.origin, settings } };
}
