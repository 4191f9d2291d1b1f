/** What an update or rollback would do, with nothing done: a dry run. */
import { toSoloError, type Diagnostic, type SoloError } from "#base/errors.ts";
import { revisionOf, type ServiceSpec } from "#deploy/spec.ts";
import { newRevision, RevisionCode, type Revision } from "#kernel/services/revision.ts";
import type { Service } from "#kernel/services/service.ts";
import type { Accepted } from "#kernel/deploys/sources.ts";
import {
  authorityChanges,
  fileChanges,
  settingChanges,
  shapeChanges,
  type FileChange,
  type SettingChange,
  type ShapeChange,
} from "#kernel/upgrades/differences.ts";
import type { Rehearsed } from "#kernel/upgrades/rehearsal.ts";

export interface Plan {
  readonly revision: string;
  readonly fromRevision: string;
  readonly files: readonly FileChange[];
  readonly settings: readonly SettingChange[];
  readonly diagnostics: readonly Diagnostic[];
  /** Why it would be refused; none: it would be done. */
  readonly problems: readonly string[];
  /** The first of them as the answer to the change would have it. */
  readonly refusal: SoloError | undefined;
  /** What the service may do that it might not before, and may no longer. */
  readonly authority: readonly string[];
  /** What codeChange makes of the present state; undefined when it was not tried. */
  readonly state: { readonly bytes: number; readonly changes: readonly ShapeChange[] } | undefined;
}

export async function planOf(options: {
  readonly service: Service;
  readonly spec: ServiceSpec;
  /** What stands against the spec before its source is looked at. */
  readonly refusals: readonly SoloError[];
  readonly accept: () => Promise<Accepted>;
  readonly rehearse: (revision: Revision) => Promise<Rehearsed>;
}): Promise<Plan> {
  const { service, spec, refusals, accept, rehearse } = options;
  const plan = {
    revision: revisionOf(spec),
    fromRevision: service.revision,
    files: fileChanges(service.spec, spec),
    settings: settingChanges(service.spec, spec),
    diagnostics: [] as Diagnostic[],
    problems: refusals.map(({ message }) => message),
    refusal: refusals[0],
    authority: authorityChanges(service.spec, spec),
    state: undefined,
  };
  try {
    const { compiled, warnings } = await accept();
    plan.diagnostics.push(...warnings);
    const running = service.instances.length > 0;
    if (!running || plan.revision === plan.fromRevision) return plan;
    const { tenant } = service.key;
    const code = new RevisionCode({ tenant, compiled, load: async () => compiled });
    const { state, shapes } = await rehearse(newRevision({ spec, code, handles: [] }));
    const changes = shapes === undefined ? [] : shapeChanges(shapes);
    return { ...plan, state: { bytes: Buffer.byteLength(state), changes } };
  } catch (error) {
    const refusal = toSoloError(error);
    return {
      ...plan,
      diagnostics: refusal.options.diagnostics ?? plan.diagnostics,
      problems: [...plan.problems, refusal.message],
      refusal: plan.refusal ?? refusal,
    };
  }
}
