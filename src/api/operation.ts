/**
 * The catalogue's grammar. An operation is defined once, here and in one file per noun;
 * gRPC, REST, OpenAPI, the CLI and the typed client are derived from the definition.
 *
 * 1. Every schema field carries a protobuf field number (`field(n, schema)`), never reused.
 * 2. Inputs are strict objects: a field that is not in the schema is refused by name.
 * 3. Every operation states the permission it needs; there is no operation without one.
 * 4. An operation is unary or a server stream; nothing else crosses a gateway.
 */
import { z } from "zod";
import type { ErrorCode } from "#base/errors.ts";

/** Metadata that the derivations read: `number` is the protobuf field number. */
export interface FieldMeta {
  readonly number: number;
}

export const fieldNumbers = z.registry<FieldMeta>();

/** A schema as field `number` of its message. Give the description with `.describe()` first;
 *  a `title` names the message of a nested object where the field's own name says too little. */
export function field<T extends z.ZodType>(number: number, schema: T): T {
  // A clone, so that one schema constant can be a field of several messages.
  const own = schema.clone();
  fieldNumbers.add(own, { number });
  const { description, title } = z.globalRegistry.get(schema) ?? {};
  if (description !== undefined || title !== undefined) {
    z.globalRegistry.add(own, {
      ...(description !== undefined && { description }),
      ...(title !== undefined && { title }),
    });
  }
  return own;
}

/** Any JSON value; google.protobuf.Value on the wire. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export const json = (): z.ZodType<Json, Json> => z.json();

export type Verb = "GET" | "POST" | "PUT" | "DELETE";

export interface HttpBinding {
  readonly method: Verb;
  /** Path with `{field}` placeholders that name input fields. What is not in the path goes
   *  to the query (GET, DELETE) or the JSON body (POST, PUT). */
  readonly path: string;
  /** Status of success; 200 unless given. */
  readonly status?: number;
  /** Where what was made is found, with `{field}` placeholders that name output fields. */
  readonly location?: string;
  /** How a stream is written: server-sent events, or JSON lines. */
  readonly stream?: "sse" | "ndjson";
}

/** Hints for the command line: how positional arguments fill input fields. */
export interface CliHints {
  /** `deploy FILE_OR_DIR --id ID`: handled by a command of its own in src/cli. */
  readonly custom?: true;
  readonly command: string;
  /** Input fields taken from positional arguments, in order; `...` marks the rest. */
  readonly positional?: readonly string[];
  /** Columns of the human table, when the output holds one list. */
  readonly table?: { readonly rows: string; readonly columns: readonly string[] };
}

/** The closed list of src/capability/permission.ts, which says what each means. */
export type Permission =
  | "read"
  | "write"
  | "invoke"
  | "deploy"
  | "use"
  | "connect"
  | "publish"
  | "subscribe"
  | "admin";

/**
 * Whose resource it is, and who may ask: `tenant`, the tenant's that is acted for; `kernel`,
 * the machine's, beyond any tenant; `anyone`, whoever reaches the port.
 */
export type Scope = "tenant" | "kernel" | "anyone";

export interface Invocation {
  /** `calls.increment`, `casts.reset`, `fetch.GET`. */
  readonly handler: string;
  readonly args: readonly unknown[];
}

export interface Operation<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodObject = z.ZodObject,
  S extends boolean = boolean,
> {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly input: I;
  /** The answer; of a stream, each message. */
  readonly output: O;
  readonly streaming: S;
  readonly permission: Permission;
  /** What the permission is needed on, such as `service:counter` or `kernel`. */
  readonly resource: (input: z.output<I>) => string;
  /** `tenant` unless given. */
  readonly scope?: Scope;
  /** Of an invocation: the handler that is reached and its arguments. */
  readonly call?: (input: z.output<I>) => Invocation;
  readonly errors: readonly ErrorCode[];
  readonly http: HttpBinding;
  readonly cli?: CliHints;
}

export type Input<Op extends Operation> = z.output<Op["input"]>;
export type RawInput<Op extends Operation> = z.input<Op["input"]>;
export type Output<Op extends Operation> = z.output<Op["output"]>;

type Definition<I extends z.ZodObject, O extends z.ZodObject> = Omit<Operation<I, O>, "streaming">;

export const unary = <I extends z.ZodObject, O extends z.ZodObject>(
  definition: Definition<I, O>,
): Operation<I, O, false> => ({ ...definition, streaming: false });

export const stream = <I extends z.ZodObject, O extends z.ZodObject>(
  definition: Definition<I, O>,
): Operation<I, O, true> => ({ ...definition, streaming: true });
