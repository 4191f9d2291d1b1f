/** What a store or a revocation makes of a secret's record; decided purely. */
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { KvOp } from "#storage/protocol.ts";
import type { Decision } from "#vault/book.ts";
import type { SecretRecord } from "#vault/ledger.ts";
import { MAX_NAMES_PER_TENANT, VERSIONS_KEPT } from "#vault/limits.ts";
import { type Place, valueTagOf } from "#vault/row.ts";
import { put, rowKey, ROWS } from "#vault/tables.ts";

export interface StoreDecision {
  readonly tenant: TenantId;
  readonly name: string;
  readonly current: SecretRecord | undefined;
  readonly namesOfTenant: number;
  readonly mustExist: boolean;
  readonly createdAtMs: number;
  readonly hasCallerKey: boolean;
  /** Seals the value for the place that it got. */
  readonly rowOf: (place: Place) => Uint8Array;
}

export function decideStore(options: StoreDecision): Decision<number> {
  const { tenant, name, current, namesOfTenant, mustExist, createdAtMs, hasCallerKey, rowOf } =
    options;
  const kept = current?.versions ?? [];
  if (mustExist && kept.length === 0) throw notFound(name);
  if (current === undefined && namesOfTenant >= MAX_NAMES_PER_TENANT) {
    throw new SoloError(
      "limit_exceeded",
      `The tenant has had ${MAX_NAMES_PER_TENANT} names of secrets; no more are taken.`,
      {
        hint: "Store it under a name that was used before, also one whose secret was revoked.",
      },
    );
  }
  const version = current?.next ?? 1;
  const row = rowOf({ tenant, name, version });
  const tag = valueTagOf(row);
  const added = { version, created_at_ms: createdAtMs, has_caller_key: hasCallerKey, tag };
  const versions = [...kept, added].slice(-VERSIONS_KEPT);
  const dropped = kept.slice(0, kept.length + 1 - versions.length);
  return {
    record: { tenant, name, next: version + 1, versions },
    ops: [
      put(ROWS, rowKey({ tenant, name, version }), row),
      ...dropped.map((each) => remove({ tenant, name, version: each.version })),
    ],
    result: version,
  };
}

export function decideRevoke(options: {
  name: string;
  current: SecretRecord | undefined;
  version: number | undefined;
}): Decision<readonly number[]> {
  const { name, current, version } = options;
  const gone = (current?.versions ?? []).filter(
    (each) => version === undefined || each.version === version,
  );
  if (current === undefined || gone.length === 0) throw notFound(name);
  const { tenant } = current;
  return {
    record: { ...current, versions: current.versions.filter((each) => !gone.includes(each)) },
    ops: gone.map((each) => remove({ tenant, name, version: each.version })),
    result: gone.map((each) => each.version),
  };
}

const remove = (place: Place): KvOp => ({ op: "delete", ns: ROWS, key: rowKey(place) });

const notFound = (name: string): SoloError =>
  new SoloError(
    "not_found",
    `There is no secret ${name.slice(0, 64)}, or not that version of it.`,
    {
      hint: "List the secrets to see their names and versions.",
    },
  );
