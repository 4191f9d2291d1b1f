/**
 * One version of one secret as it lies on disk.
 *
 * 1. Every bit of a row is under a tag: the sealed value under its own, the wrapped data key
 *    under its own, the head under both. Tenant, name and version are bound into both, so a row
 *    opens only in its own place.
 * 2. A row is written once; a rotation of the master key only wraps its data key anew.
 */
import { type Argon2, combine, isAllowed, type Kek } from "#vault/keys.ts";
import { IV_BYTES, KEY_BYTES, KEY_ID_BYTES, SALT_BYTES, TAG_BYTES } from "#vault/limits.ts";
import { associated, open, pack, seal, unpack } from "#vault/seal.ts";

/** Where a row belongs. */
export interface Place {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
}

/** How the caller's own key is made from what the caller brings. */
export type CallerKey =
  | { readonly kind: "none" }
  | { readonly kind: "key" }
  | { readonly kind: "passphrase"; readonly salt: Uint8Array; readonly params: Argon2 };

const FORM = 1;
const KINDS = ["none", "key", "passphrase"] as const;

// form, kind, salt, memory, passes, parallelism
const HEAD_BYTES = 1 + 1 + SALT_BYTES + 4 + 4 + 1;
const SEALED_KEY_BYTES = IV_BYTES + TAG_BYTES + KEY_BYTES;
const KEY_ID_AT = HEAD_BYTES;
const SEALED_KEY_AT = KEY_ID_AT + KEY_ID_BYTES;
const VALUE_AT = SEALED_KEY_AT + SEALED_KEY_BYTES;

export interface SealRowOptions {
  readonly place: Place;
  readonly kek: Kek;
  readonly value: Uint8Array;
  /** With the 32 bytes it came to, unless `none`. */
  readonly caller: CallerKey;
  readonly callerKey: Uint8Array | undefined;
  readonly random: (bytes: number) => Uint8Array;
}

export function sealRow(options: SealRowOptions): Buffer {
  const { place, kek, value, caller, callerKey, random } = options;
  const head = encodeHead(caller);
  const dataKey = random(KEY_BYTES);
  const valueKey = callerKey ? combine(dataKey, callerKey) : dataKey;
  const sealed = seal({
    key: valueKey,
    iv: random(IV_BYTES),
    aad: valueAad(place, head),
    plaintext: value,
  });
  const row = Buffer.concat([head, wrap({ place, head, kek, dataKey, random }), pack(sealed)]);
  dataKey.fill(0);
  valueKey.fill(0);
  return row;
}

/** The id of the key that wraps the row's data key; undefined when the bytes are no row. */
export const keyIdOf = (row: Uint8Array): string | undefined =>
  row.length < VALUE_AT + IV_BYTES + TAG_BYTES
    ? undefined
    : Buffer.from(row.subarray(KEY_ID_AT, SEALED_KEY_AT)).toString("hex");

/** What the caller has to bring; undefined when the bytes say nothing that Solo writes. */
export function callerKeyOf(row: Uint8Array): CallerKey | undefined {
  const head = Buffer.from(row.subarray(0, HEAD_BYTES));
  if (head.length < HEAD_BYTES || head[0] !== FORM) return undefined;
  const kind = KINDS[head[1]!];
  if (kind !== "passphrase") return kind && { kind };
  const params: Argon2 = {
    memoryKib: head.readUInt32BE(2 + SALT_BYTES),
    passes: head.readUInt32BE(6 + SALT_BYTES),
    parallelism: head[10 + SALT_BYTES]!,
  };
  return isAllowed(params) ? { kind, salt: head.subarray(2, 2 + SALT_BYTES), params } : undefined;
}

/**
 * The row's data key; undefined when row, place and master key do not belong together. Says
 * that the head is authentic, before anything is derived as the head asks.
 */
export function unwrapRow(row: Uint8Array, place: Place, kek: Kek): Buffer | undefined {
  if (keyIdOf(row) !== kek.id) return undefined;
  const aad = keyAad(place, row.subarray(0, HEAD_BYTES), kek);
  return open({ key: kek.key, aad, sealed: unpack(row.subarray(SEALED_KEY_AT, VALUE_AT)) });
}

/** The value, or undefined when the keys are not the row's, or the value was altered. */
export function openValue(options: {
  row: Uint8Array;
  place: Place;
  dataKey: Uint8Array;
  callerKey: Uint8Array | undefined;
}): Buffer | undefined {
  const { row, place, dataKey, callerKey } = options;
  const combined = callerKey && combine(dataKey, callerKey);
  const aad = valueAad(place, row.subarray(0, HEAD_BYTES));
  const sealed = unpack(row.subarray(VALUE_AT));
  const value = open({ key: combined ?? dataKey, aad, sealed });
  combined?.fill(0);
  return value;
}

/** The tag over the value: what tells this row from any other that may lie in its place. */
export const valueTagOf = (row: Uint8Array): string =>
  Buffer.from(unpack(row.subarray(VALUE_AT)).tag).toString("base64");

/** The row with its data key under another master key; undefined when it does not open. */
export function rewrapRow(options: {
  row: Uint8Array;
  place: Place;
  from: Kek;
  to: Kek;
  random: (bytes: number) => Uint8Array;
}): Buffer | undefined {
  const { row, place, from, to, random } = options;
  const dataKey = unwrapRow(row, place, from);
  if (dataKey === undefined) return undefined;
  const head = row.subarray(0, HEAD_BYTES);
  const wrapped = wrap({ place, head, kek: to, dataKey, random });
  dataKey.fill(0);
  return Buffer.concat([head, wrapped, row.subarray(VALUE_AT)]);
}

function encodeHead(caller: CallerKey): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = FORM;
  head[1] = KINDS.indexOf(caller.kind);
  if (caller.kind !== "passphrase") return head;
  head.set(caller.salt, 2);
  head.writeUInt32BE(caller.params.memoryKib, 2 + SALT_BYTES);
  head.writeUInt32BE(caller.params.passes, 6 + SALT_BYTES);
  head[10 + SALT_BYTES] = caller.params.parallelism;
  return head;
}

function wrap(options: {
  place: Place;
  head: Uint8Array;
  kek: Kek;
  dataKey: Uint8Array;
  random: (bytes: number) => Uint8Array;
}): Buffer {
  const { place, head, kek, dataKey, random } = options;
  const aad = keyAad(place, head, kek);
  const sealed = seal({ key: kek.key, iv: random(IV_BYTES), aad, plaintext: dataKey });
  return Buffer.concat([Buffer.from(kek.id, "hex"), pack(sealed)]);
}

const valueAad = ({ tenant, name, version }: Place, head: Uint8Array): Buffer =>
  Buffer.concat([associated("value", tenant, name, version), head]);

const keyAad = ({ tenant, name, version }: Place, head: Uint8Array, { id }: Kek): Buffer =>
  Buffer.concat([associated("data key", tenant, name, version, id), head]);
