/** The options of deploy, update and validate, and the input they make: pure. */
import { Option } from "commander";
import type { RawInputOf } from "#api/catalogue.ts";
import { operations } from "#client/operations.ts";
import type { Source } from "#cli/source.ts";
import { UsageError } from "#cli/usage-error.ts";
import { capabilityEntry, integer, jsonOrWord, keyValue, repeated } from "#cli/values.ts";

type DeployInput = RawInputOf<"Deploy">;

const { fields } = operations.Deploy;
const about = (field: string): string => fields[field]?.text ?? "";
const choice = (flag: string, field: string): Option =>
  new Option(`${flag} <kind>`, about(field)).choices(fields[field]?.choices ?? []);

export const specOptions = (): Option[] => [
  new Option("--id <service_id>", "The service's name; the file's or directory's unless given."),
  new Option("--spec <file>", "A JSON file with the whole request; the other options override it."),
  new Option(
    "--entry <path>",
    "Which file of a directory is loaded; index.ts, main.ts … unless given.",
  ),
  choice("--format", "format"),
  choice("--restart", "restart"),
  choice("--persistence", "persistence"),
  new Option(
    "--persistence-exclude <pattern>",
    `${about("persistence_exclude")} Repeatable.`,
  ).argParser(repeated),
  new Option(
    "--hibernate-after-ms <n>",
    "Evict an instance that has had nothing to do for so long, and wake it when it is needed; 0: never.",
  ).argParser(integer),
  new Option("--priority <n>", about("priority")).argParser(integer),
  choice("--isolation", "isolation"),
  choice("--ingress", "ingress"),
  new Option("--instances <n>", about("instances")).argParser(integer),
  choice("--routing", "routing"),
  new Option("--memory-mb <n>", "Memory of one instance, MiB.").argParser(integer),
  new Option("--call-timeout-ms <n>", "Longest time one message may take.").argParser(integer),
  new Option("--mailbox <n>", "Messages that may wait for the instance.").argParser(integer),
  new Option(
    "--limit <NAME=VALUE>",
    "Any field of limits, such as timers=100 or actions.cpu=kill (docs/limits.md). Repeatable.",
  ).argParser(keyValue),
  new Option("--env <KEY=VALUE>", `${about("env")} Repeatable.`).argParser(keyValue),
  new Option("--metadata <KEY=VALUE>", `${about("metadata")} Repeatable.`).argParser(keyValue),
  new Option(
    "--capability <entry>",
    "A resource that the service may use, such as service:ledger or net:api.example.com, or an entry as JSON. Repeatable; none: nothing but its own.",
  ).argParser(capabilityEntry),
  new Option(
    "--secret <name[=alias]>",
    "A secret that the service may read. Repeatable.",
  ).argParser(secretBinding),
  new Option("--arg <json>", about("args")).argParser(jsonOrWord),
];

type Binding = NonNullable<DeployInput["secrets"]>[number];

function secretBinding(text: string, before: readonly Binding[] = []): Binding[] {
  const [name = "", as] = text.split("=");
  return [...before, { name, ...(as !== undefined && { as }) }];
}

/** What commander made of `specOptions`. */
export interface SpecFlags {
  readonly id?: string;
  readonly spec?: string;
  readonly entry?: string;
  readonly format?: DeployInput["format"];
  readonly restart?: DeployInput["restart"];
  readonly persistence?: DeployInput["persistence"];
  readonly persistenceExclude?: string[];
  readonly hibernateAfterMs?: number;
  readonly priority?: number;
  readonly isolation?: DeployInput["isolation"];
  readonly ingress?: DeployInput["ingress"];
  readonly instances?: number;
  readonly routing?: DeployInput["routing"];
  readonly memoryMb?: number;
  readonly callTimeoutMs?: number;
  readonly mailbox?: number;
  readonly limit?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly metadata?: Record<string, string>;
  readonly capability?: DeployInput["capabilities"];
  readonly secret?: NonNullable<DeployInput["secrets"]>;
  readonly arg?: DeployInput["args"];
}

/** The object without the fields that are undefined; undefined when none is left. */
function given<T extends object>(
  value: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } | undefined {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

const ACTION = "actions.";

/** `timers=100`, `actions.cpu=kill`; what they mean is checked by the kernel. */
function limitFields(limit: Readonly<Record<string, string>>): Record<string, unknown> {
  const limits: Record<string, unknown> = {};
  const actions: Record<string, string> = {};
  for (const [name, value] of Object.entries(limit)) {
    if (name.startsWith(ACTION)) actions[name.slice(ACTION.length)] = value;
    else limits[name] = /^\d+$/.test(value) ? Number(value) : value;
  }
  return { ...limits, ...(Object.keys(actions).length > 0 && { actions }) };
}

const merged = <T extends object>(below: T | undefined, above: T | undefined): T | undefined =>
  above === undefined ? below : { ...below, ...above };

export interface DeployParts {
  readonly flags: SpecFlags;
  /** The content of --spec; checked by the kernel, like everything else. */
  readonly spec: Partial<DeployInput>;
  readonly source: Source | undefined;
}

export function deployInput({ flags, spec, source }: DeployParts): DeployInput {
  const service_id = flags.id ?? spec.service_id ?? source?.id;
  if (service_id === undefined) {
    throw new UsageError(
      "The service has no name.",
      "Give it one with --id, such as --id counter.",
    );
  }
  const limits = given({
    ...limitFields(flags.limit ?? {}),
    memory_mb: flags.memoryMb,
    call_timeout_ms: flags.callTimeoutMs,
    mailbox: flags.mailbox,
  });
  const own = given({
    code: source?.code,
    files: source?.files,
    entry: source?.files && source.entry,
    format: flags.format ?? (spec.format === undefined ? source?.format : undefined),
    restart: flags.restart,
    persistence: flags.persistence,
    persistence_exclude: flags.persistenceExclude,
    hibernation:
      flags.hibernateAfterMs === undefined ? undefined : { after_idle_ms: flags.hibernateAfterMs },
    priority: flags.priority,
    isolation: flags.isolation,
    ingress: flags.ingress,
    instances: flags.instances,
    capabilities: flags.capability,
    routing: flags.routing,
    limits: merged<object>(spec.limits, limits),
    env: merged(spec.env, flags.env),
    metadata: merged(spec.metadata, flags.metadata),
    secrets: flags.secret && [...(spec.secrets ?? []), ...flags.secret],
    args: flags.arg,
  });
  return { ...spec, ...own, service_id };
}
