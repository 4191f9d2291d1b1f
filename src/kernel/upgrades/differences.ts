/** What two revisions of a service differ in: files, settings, authority, the shape of the state. Pure. */
import { unifiedDiff } from "#base/unified-diff.ts";
import type { ServiceSpec } from "#deploy/spec.ts";
import type { StateShapes } from "#wire/messages.ts";

export type ChangeKind = "added" | "removed" | "changed";

export interface FileChange {
  readonly path: string;
  readonly change: ChangeKind;
}

/** `before` and `after` as JSON; undefined: not there. */
export interface SettingChange {
  readonly setting: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

const changeOf = (before: unknown, after: unknown): ChangeKind =>
  before === undefined ? "added" : after === undefined ? "removed" : "changed";

export function fileChanges(before: ServiceSpec, after: ServiceSpec): FileChange[] {
  const paths = [...new Set([...Object.keys(before.files), ...Object.keys(after.files)])].toSorted(
    (a, b) => (a < b ? -1 : 1),
  );
  return paths
    .filter((path) => before.files[path] !== after.files[path])
    .map((path) => ({ path, change: changeOf(before.files[path], after.files[path]) }));
}

/** All files' differences as one unified diff; empty when the source is the same. */
export function sourceDiff(before: ServiceSpec, after: ServiceSpec): string {
  return fileChanges(before, after)
    .map(({ path, change }) =>
      unifiedDiff({
        before: before.files[path] ?? "",
        after: after.files[path] ?? "",
        beforeName: change === "added" ? "/dev/null" : `a/${path}`,
        afterName: change === "removed" ? "/dev/null" : `b/${path}`,
      }),
    )
    .join("\n");
}

/** Settings by the path that a deploy request gives them, such as `limits.memory_mb`. */
export function settingChanges(before: ServiceSpec, after: ServiceSpec): SettingChange[] {
  const [old, next] = [settingsOf(before), settingsOf(after)];
  const names = [...new Set([...old.keys(), ...next.keys()])].toSorted((a, b) => (a < b ? -1 : 1));
  return names
    .map((setting) => ({ setting, before: old.get(setting), after: next.get(setting) }))
    .filter((each) => each.before !== each.after);
}

/** What is in them has names that its author chose. */
const FREE: ReadonlySet<string> = new Set(["env", "args", "metadata"]);

export function settingsOf({
  files: _files,
  hibernateAfterMs,
  ...settings
}: ServiceSpec): Map<string, string> {
  const flat = new Map<string, string>();
  const visit = (value: unknown, path: string): void => {
    const nested = typeof value === "object" && value !== null && !Array.isArray(value);
    const entries = nested ? Object.entries(value) : [];
    if (entries.length === 0) flat.set(path, JSON.stringify(value) ?? "null");
    for (const [key, each] of entries) visit(each, path === "" ? key : `${path}.${key}`);
  };
  const hibernation = { afterIdleMs: hibernateAfterMs };
  for (const [name, value] of Object.entries({ ...settings, hibernation })) {
    visit(FREE.has(name) ? value : asRequested(value), requestName(name));
  }
  return flat;
}

/** With the names that a request has. */
function asRequested(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asRequested);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [requestName(name), asRequested(each)]),
  );
}

const requestName = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** What the service may do beyond its own that it might not before, or may no longer: lines
 *  such as `gains connect net:api.example.com`. */
export function authorityChanges(before: ServiceSpec, after: ServiceSpec): string[] {
  const [old, next] = [authorityOf(before), authorityOf(after)];
  return [
    ...[...next].filter((each) => !old.has(each)).map((each) => `gains ${each}`),
    ...[...old].filter((each) => !next.has(each)).map((each) => `loses ${each}`),
  ];
}

function authorityOf({ capabilities, secrets = [] }: ServiceSpec): Set<string> {
  const held = (capabilities ?? USUAL).flatMap(({ permissions, resources, calls }) =>
    resources.flatMap((resource) =>
      permissions.map((permission) => {
        const only = calls === null ? "" : ` (only ${JSON.stringify(asRequested(calls))})`;
        return `${permission} ${resource}${only}`;
      }),
    ),
  );
  return new Set([...held, ...secrets.map(({ name, use }) => `${use} secret:${name}`)]);
}

/** When nothing was said: the services that the deployer may pass on. */
const USUAL = [{ permissions: ["invoke"], resources: ["service:*"], calls: null }];

export interface ShapeChange {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Parts of the state that come, go or change their type. */
export function shapeChanges({ before, after }: StateShapes): ShapeChange[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return paths
    .map((path) => ({ path, before: before[path], after: after[path] }))
    .filter((each) => each.before !== each.after);
}
