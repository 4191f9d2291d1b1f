/**
 * The catalogue as plain data: what a client needs to know of each operation.
 *
 * 1. `operations.json` is emitted from `#api/catalogue.ts` (see describe.ts) and committed;
 *    a test keeps the two equal. So a client starts without loading a single schema.
 * 2. Nothing is checked here that the kernel checks: types come from the catalogue at
 *    compile time, refusals come from the kernel at run time.
 */
import type { Catalogue, OperationName } from "#api/catalogue.ts";
import type { CliHints, HttpBinding } from "#api/operation.ts";
import rows from "#client/operations.json" with { type: "json" };

export type FieldType = "string" | "integer" | "number" | "boolean" | "json";

export interface FieldRow {
  readonly type: FieldType;
  readonly required: boolean;
  readonly text?: string;
  /** The allowed values, when the field is an enumeration. */
  readonly choices?: readonly string[];
}

export interface OperationRow {
  readonly summary: string;
  readonly description?: string;
  readonly streaming: boolean;
  readonly http: HttpBinding;
  readonly cli?: CliHints;
  readonly fields: Readonly<Record<string, FieldRow>>;
}

export type Operations = Readonly<Record<OperationName, OperationRow>>;

// The file is emitted from the catalogue; TypeScript reads its strings too widely.
export const operations = rows as unknown as Operations;

export const operationNames = Object.keys(operations) as OperationName[];

export type MethodName<N extends OperationName = OperationName> = Uncapitalize<N>;

/** `ListEvents` → `listEvents`. */
export const methodName = <N extends OperationName>(name: N): MethodName<N> =>
  `${name.charAt(0).toLowerCase()}${name.slice(1)}` as MethodName<N>;

export type IsStream<N extends OperationName> = Catalogue[N]["streaming"];
