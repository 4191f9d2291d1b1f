/**
 * A deploy request as it is accepted: checked, with every default filled in, frozen.
 *
 * 1. Every bad field is named at once.
 * 2. The same content always gives the same revision.
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { SoloError, type FieldError } from "#base/errors.ts";
import type { RevisionId } from "#base/ids.ts";
import {
  type CapabilityInput,
  type CapabilitySpec,
  resolveCapabilities,
} from "#deploy/capability-spec.ts";
import { resolveBindings, type SecretBinding, type SecretInput } from "#deploy/secret-bindings.ts";
import { resolveLimits, type Ceilings, type Limits, type LimitsInput } from "#deploy/limits.ts";
import { watchdogFrom, type Watchdog, type WatchdogInput } from "#deploy/watchdog.ts";

export type Restart = "permanent" | "transient" | "temporary";
export type Persistence = "stateless" | "hybrid" | "durable" | "external";
export type Isolation = "shared" | "dedicated";
export type Routing = "round_robin" | "least_busy" | "key";
export type IngressPolicy = "token" | "public";

export interface RestartLimits {
  readonly maxRestarts: number;
  readonly maxSeconds: number;
  readonly startupTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** For codeChange, checkState and selfTest of an update. */
  readonly codeChangeTimeoutMs: number;
}

/** Source and settings: what a revision is made of. */
export interface ServiceSpec {
  readonly files: Readonly<Record<string, string>>;
  readonly entry: string;
  readonly restart: Restart;
  readonly restartLimits: RestartLimits;
  readonly limits: Limits;
  readonly persistence: Persistence;
  /** Patterns of the state's keys that are not stored. */
  readonly persistenceExclude: readonly string[];
  /** An instance that is idle for so long is evicted; 0: never. */
  readonly hibernateAfterMs: number;
  /** Of two services, the one with the higher starts first after the kernel's restart. */
  readonly priority: number;
  readonly isolation: Isolation;
  readonly ingress: IngressPolicy;
  readonly env: Readonly<Record<string, string>>;
  readonly args: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly instances: number;
  readonly routing: Routing;
  /** What it may use beyond its own; `null`: nothing was said, so its tenant's services. */
  readonly capabilities: readonly CapabilitySpec[] | null;
  /** Left out when there are none. */
  readonly secrets?: readonly SecretBinding[];
  readonly watchdog: Watchdog;
}

/** The fields of a deploy request that `resolveSpec` reads; see src/api/service-spec.ts. */
export interface SpecInput {
  readonly code?: string | undefined;
  readonly files?: Readonly<Record<string, string>> | undefined;
  readonly entry?: string | undefined;
  readonly format?: "typescript_source" | "javascript_source" | undefined;
  readonly restart?: Restart | undefined;
  readonly restart_limits?:
    | {
        readonly max_restarts?: number | undefined;
        readonly max_seconds?: number | undefined;
        readonly startup_timeout_ms?: number | undefined;
        readonly shutdown_timeout_ms?: number | undefined;
        readonly code_change_timeout_ms?: number | undefined;
      }
    | undefined;
  readonly limits?: LimitsInput | undefined;
  readonly persistence?: Persistence | undefined;
  readonly persistence_exclude?: readonly string[] | undefined;
  readonly hibernation?: { readonly after_idle_ms?: number | undefined } | undefined;
  readonly priority?: number | undefined;
  readonly isolation?: Isolation | undefined;
  readonly ingress?: IngressPolicy | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly args?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly instances?: number | undefined;
  readonly routing?: Routing | undefined;
  readonly capabilities?: readonly CapabilityInput[] | undefined;
  readonly secrets?: readonly SecretInput[] | undefined;
  readonly watchdog?: WatchdogInput | undefined;
}

export interface SpecDefaults {
  readonly limits: Limits;
  /** The most that the tenant's services may ask for. */
  readonly ceilings: Ceilings;
  readonly restartLimits: Omit<RestartLimits, "codeChangeTimeoutMs">;
  readonly maxSourceBytes: number;
  /** Of services that keep their state anyway; 0: never. */
  readonly hibernateAfterMs: number;
  /** Of an update: source and settings that it does not name stay as they are. */
  readonly current?: ServiceSpec | undefined;
}

export const CODE_CHANGE_MS = 5000;
const MAX_FILES = 512;
const MAX_PATH_CHARS = 256;
const MAX_ENV_ENTRIES = 256;
const MAX_ENV_CHARS = 64 * 1024;
const MAX_ARGS_CHARS = 256 * 1024;
const MAX_METADATA_CHARS = 64 * 1024;
const MAX_PATTERNS = 64;
const MAX_PATTERN_CHARS = 128;
/** So many problems are spelled out in the text; the fields have them all. */
const MAX_NAMED = 10;
const SOURCE_FILE = /\.(m?ts|m?js|json)$/;
const ENTRY_NAMES = ["index.ts", "main.ts", "index.js", "main.js", "index.mjs", "main.mjs"];

export function resolveSpec(input: SpecInput, defaults: SpecDefaults): ServiceSpec {
  const problems: Problem[] = [];
  const refuse: Refuse = (field, message, code = "invalid_argument") =>
    void problems.push({ field, message, code });
  const { current, ceilings } = defaults;
  const { code, files, entry, format } = input;
  const isSilent = [code, files, entry, format].every((each) => each === undefined);
  const source =
    isSilent && current !== undefined
      ? { files: current.files, entry: current.entry }
      : resolveSource(input, defaults.maxSourceBytes, refuse);
  checkTexts("env", input.env, refuse);
  checkJsonSize("metadata", input.metadata, MAX_METADATA_CHARS, refuse);
  checkJsonSize("args", input.args, MAX_ARGS_CHARS, refuse);
  checkPatterns("persistence_exclude", input.persistence_exclude, refuse);
  const capabilities = input.capabilities && resolveCapabilities(input.capabilities, refuse);
  const secrets =
    input.secrets === undefined
      ? defaults.current?.secrets
      : resolveBindings(input.secrets, refuse);
  const { restart_limits: restarts } = input;
  const otherwise = current?.limits ?? defaults.limits;
  const limits = resolveLimits({ input: input.limits, otherwise, ceilings, refuse });
  if (problems.length > 0) throw invalidSpec(problems);
  const otherRestarts = current?.restartLimits ?? defaults.restartLimits;
  const persistence = input.persistence ?? current?.persistence ?? "stateless";
  const keeps = persistence === "hybrid" || persistence === "durable";
  return Object.freeze({
    ...source,
    restart: input.restart ?? current?.restart ?? "permanent",
    restartLimits: Object.freeze({
      maxRestarts: restarts?.max_restarts ?? otherRestarts.maxRestarts,
      maxSeconds: restarts?.max_seconds ?? otherRestarts.maxSeconds,
      startupTimeoutMs: restarts?.startup_timeout_ms ?? otherRestarts.startupTimeoutMs,
      shutdownTimeoutMs: restarts?.shutdown_timeout_ms ?? otherRestarts.shutdownTimeoutMs,
      codeChangeTimeoutMs:
        restarts?.code_change_timeout_ms ??
        current?.restartLimits.codeChangeTimeoutMs ??
        CODE_CHANGE_MS,
    }),
    limits,
    persistence,
    persistenceExclude: Object.freeze([
      ...(input.persistence_exclude ?? current?.persistenceExclude ?? []),
    ]),
    hibernateAfterMs:
      input.hibernation?.after_idle_ms ??
      current?.hibernateAfterMs ??
      (keeps ? defaults.hibernateAfterMs : 0),
    priority: input.priority ?? current?.priority ?? 0,
    isolation: input.isolation ?? current?.isolation ?? "shared",
    ingress: input.ingress ?? current?.ingress ?? "token",
    env: Object.freeze({ ...(input.env ?? current?.env) }),
    args: input.args !== undefined ? input.args : (current?.args ?? null),
    metadata: Object.freeze({ ...(input.metadata ?? current?.metadata) }),
    instances: input.instances ?? current?.instances ?? 1,
    routing: input.routing ?? current?.routing ?? "round_robin",
    capabilities: capabilities ?? current?.capabilities ?? null,
    ...(secrets !== undefined && secrets.length > 0 && { secrets: Object.freeze(secrets) }),
    watchdog: watchdogFrom(input.watchdog, current?.watchdog),
  });
}

interface Problem extends FieldError {
  readonly code: "invalid_argument" | "payload_too_large";
}

type Refuse = (field: string, message: string, code?: Problem["code"]) => void;

function resolveSource(
  input: SpecInput,
  maxBytes: number,
  refuse: Refuse,
): Pick<ServiceSpec, "files" | "entry"> {
  const { code, files, entry, format = "typescript_source" } = input;
  const nothing = { files: {}, entry: "" };
  if ((code === undefined) === (files === undefined)) {
    refuse(
      "code",
      code === undefined
        ? "is missing: give the source as `code` (one file) or as `files` (several, by path)"
        : "and files are both given: give one of them",
    );
    return nothing;
  }
  if (code !== undefined) {
    if (entry !== undefined) refuse("entry", "only goes with `files`");
    if (code.trim() === "") refuse("code", "is empty");
    checkSize("code", Buffer.byteLength(code), maxBytes, refuse);
    const path = format === "typescript_source" ? "index.ts" : "index.js";
    return { files: Object.freeze({ [path]: code }), entry: path };
  }
  const paths = Object.keys(files!);
  if (paths.length === 0) refuse("files", "is empty");
  if (paths.length > MAX_FILES)
    refuse("files", `has ${paths.length} files; at most ${MAX_FILES} are taken`);
  let bytes = 0;
  for (const path of paths) {
    bytes += Buffer.byteLength(files![path]!);
    if (!isFilePath(path)) {
      refuse(
        `files.${path.slice(0, 80)}`,
        isFilePath(posix.normalize(path))
          ? `must be written as ${posix.normalize(path)}`
          : "must be a relative path below the service, such as lib/util.ts, ending in .ts, .mts, .js, .mjs or .json",
      );
    }
  }
  checkSize("files", bytes, maxBytes, refuse);
  const start =
    entry ??
    ENTRY_NAMES.find((name) => paths.includes(name)) ??
    (paths.length === 1 ? paths[0] : undefined);
  if (start === undefined)
    refuse(
      "entry",
      `name the file to load first; none of ${ENTRY_NAMES.join(", ")} is among the files`,
    );
  else if (!paths.includes(start)) refuse("entry", `${start} is not among the files`);
  return { files: Object.freeze({ ...files }), entry: start ?? "" };
}

const isFilePath = (path: string): boolean =>
  path.length <= MAX_PATH_CHARS &&
  SOURCE_FILE.test(path) &&
  posix.normalize(path) === path &&
  !path.startsWith("/") &&
  !path.startsWith("..") &&
  /^[\w@.+/-]+$/.test(path) &&
  !path.split("/").includes("__proto__");

function checkSize(field: string, bytes: number, maxBytes: number, refuse: Refuse): void {
  if (bytes > maxBytes)
    refuse(
      field,
      `is ${bytes} bytes; limits.max_source_bytes allows ${maxBytes}`,
      "payload_too_large",
    );
}

function checkJsonSize(field: string, value: unknown, maxChars: number, refuse: Refuse): void {
  const chars = value === undefined ? 0 : JSON.stringify(value).length;
  if (chars > maxChars)
    refuse(field, `is ${chars} characters of JSON; at most ${maxChars} are taken`);
}

function checkTexts(
  field: string,
  texts: Readonly<Record<string, string>> | undefined,
  refuse: Refuse,
): void {
  if (texts === undefined) return;
  const entries = Object.entries(texts);
  if (entries.length > MAX_ENV_ENTRIES)
    refuse(field, `has ${entries.length} entries; at most ${MAX_ENV_ENTRIES} are taken`);
  let chars = 0;
  for (const [name, value] of entries) {
    chars += name.length + value.length;
    if (!/^[A-Za-z_][\w.-]{0,127}$/.test(name) || name === "__proto__") {
      refuse(
        `${field}.${name.slice(0, 80)}`,
        "must be a name of letters, digits, '_', '.' and '-'",
      );
    }
  }
  if (chars > MAX_ENV_CHARS)
    refuse(field, `is ${chars} characters; at most ${MAX_ENV_CHARS} are taken`);
}

function checkPatterns(
  field: string,
  patterns: readonly string[] | undefined,
  refuse: Refuse,
): void {
  if (patterns === undefined) return;
  if (patterns.length > MAX_PATTERNS) {
    refuse(field, `has ${patterns.length} patterns; at most ${MAX_PATTERNS} are taken`);
  }
  for (const [at, pattern] of patterns.entries()) {
    if (pattern === "" || pattern.length > MAX_PATTERN_CHARS) {
      refuse(`${field}.${at}`, `must have 1 to ${MAX_PATTERN_CHARS} characters`);
    }
  }
}

function invalidSpec(problems: readonly Problem[]): SoloError {
  const fields = problems.map(({ field, message }) => ({ field, message }));
  const names = fields.slice(0, MAX_NAMED).map(({ field, message }) => `${field} ${message}`);
  const tooLarge = problems.every(({ code }) => code === "payload_too_large");
  return new SoloError(
    tooLarge ? "payload_too_large" : "invalid_argument",
    `The deploy cannot be accepted: ${names.join("; ")}.`,
    {
      fields,
      hint: "Correct the named fields and send the whole request again.",
    },
  );
}

/** A deploy asks several times; what a spec holds never changes. */
function remembered<Of extends object, Answer>(find: (of: Of) => Answer): (of: Of) => Answer {
  const known = new WeakMap<Of, Answer>();
  return (of) => {
    const answer = known.get(of) ?? find(of);
    known.set(of, answer);
    return answer;
  };
}

const sha256 = (value: unknown): string =>
  createHash("sha256").update(canonical(value)).digest("hex");

/** Content address of source and settings: equal for equal deploys, whatever the order of keys. */
export const revisionOf = remembered(
  (spec: ServiceSpec) => `r_${sha256(spec).slice(0, 16)}` as RevisionId,
);

/** Content address of the source alone, for the compile cache. */
export const sourceHash = remembered(({ files, entry }: Pick<ServiceSpec, "files" | "entry">) =>
  sha256({ files, entry }),
);

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}
