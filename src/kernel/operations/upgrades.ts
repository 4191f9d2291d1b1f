/** The revisions of a service: list, look, compare, go back. */
import type { OutputOf } from "#api/catalogue.ts";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { RevisionEntry, Revisions } from "#deploy/revisions.ts";
import { keyOf, type Handlers } from "#kernel/operations/handlers.ts";
import { planned, updated } from "#kernel/operations/services.ts";
import type { Tenants } from "#kernel/tenants.ts";
import { settingChanges, settingsOf, sourceDiff } from "#kernel/upgrades/differences.ts";
import type { Upgrades } from "#kernel/upgrades/upgrades.ts";

export interface UpgradeParts {
  readonly clock: Clock;
  readonly tenants: Tenants;
  readonly revisions: Revisions;
  readonly upgrades: Upgrades;
}

type UpgradeHandlers = Pick<
  Handlers,
  "ListRevisions" | "GetRevision" | "DiffRevisions" | "Rollback"
>;

export const upgradeHandlers = ({
  clock,
  tenants,
  revisions,
  upgrades,
}: UpgradeParts): UpgradeHandlers => ({
  async ListRevisions(input, asked) {
    const { key } = tenants.get(keyOf(input, asked));
    const [current, ...rest] = await revisions.history(key);
    if (current === undefined) return { revisions: [] };
    return { revisions: [shown(current, true), ...rest.map((entry) => shown(entry, false))] };
  },

  async GetRevision({ revision, ...input }, asked) {
    const { key } = tenants.get(keyOf(input, asked));
    const spec = await revisions.get(key, revision);
    const settings = Object.fromEntries(settingsOf(spec));
    return { revision, entry: spec.entry, files: { ...spec.files }, settings };
  },

  async DiffRevisions({ from, to, ...input }, asked) {
    const service = tenants.get(keyOf(input, asked));
    const { key } = service;
    const [current] = await revisions.history(key);
    const first = from ?? current?.parent;
    if (first === undefined) {
      throw new SoloError("conflict", `${key.service} has had one revision only.`, {
        hint: "Name two revisions, or update the service first.",
      });
    }
    const second = to ?? service.revision;
    const [before, after] = await Promise.all([
      revisions.get(key, first),
      revisions.get(key, second),
    ]);
    return {
      from: first,
      to: second,
      diff: sourceDiff(before, after),
      settings: settingChanges(before, after).map(({ setting: path, ...values }) => ({
        path,
        ...values,
      })),
    };
  },

  async Rollback({ revision, message, self_test: selfTest, dry_run, ...input }, asked) {
    const key = keyOf(input, asked);
    if (dry_run === true) {
      const service = tenants.get(key);
      const begun = clock.now();
      const spec = await upgrades.earlier(service, revision);
      return planned(
        service,
        await upgrades.plan(service, spec, { action: "rollback", by: asked.principal! }),
        clock.now() - begun,
      );
    }
    return updated(await upgrades.rollback(key, revision, asked.principal!, { message, selfTest }));
  },
});

type Shown = OutputOf<"ListRevisions">["revisions"][number];

const shown = (entry: RevisionEntry, current: boolean): Shown => ({
  number: entry.number,
  revision: entry.revision,
  ...(entry.parent !== undefined && { parent: entry.parent }),
  at: new Date(entry.atMs).toISOString(),
  by: entry.by,
  action: entry.action,
  ...(entry.message !== undefined && { message: entry.message }),
  current,
});
