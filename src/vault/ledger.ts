/**
 * Which secrets exist, in which versions; and the head over all of it.
 *
 * 1. Each secret's record is under a MAC. The head is a MAC over a counter and the sum of all
 *    records, so a record that is missing, added, or replaced by an older one is noticed.
 * 2. The sum is never stored, only its MAC: sums of chosen records cannot be steered to it.
 */
import type { TenantId } from "#base/ids.ts";
import { MAC_BYTES } from "#vault/limits.ts";
import { macOf, signed, verified } from "#vault/mac.ts";

export interface VersionRecord {
  readonly version: number;
  readonly created_at_ms: number;
  readonly has_caller_key: boolean;
  /** Of the row's value: a row of the same place from another time has another. */
  readonly tag: string;
}

export interface SecretRecord {
  readonly tenant: TenantId;
  readonly name: string;
  /** The number that the next version gets; numbers are never given twice. */
  readonly next: number;
  /** Those that can be read, oldest first. */
  readonly versions: readonly VersionRecord[];
}

export interface Head {
  /** Grows by one with every commit. */
  readonly counter: number;
  readonly sum: bigint;
}

const MODULUS = 1n << 256n;

export const secretKey = ({ tenant, name }: Pick<SecretRecord, "tenant" | "name">): string =>
  `${tenant}/${name}`;

export const encodeSecret = (macKey: Uint8Array, record: SecretRecord): Buffer =>
  signed(macKey, "secret", record);

/** Undefined when it was altered, or lies in another secret's place. */
export function decodeSecret(
  macKey: Uint8Array,
  key: string,
  bytes: Uint8Array,
): SecretRecord | undefined {
  const record = verified<SecretRecord>(macKey, "secret", bytes);
  return record && secretKey(record) === key ? record : undefined;
}

/**
 * What a record adds to the sum, by its MAC alone: a record whose content was altered is
 * refused by itself, and the others still fit the head.
 */
export const weightOf = (macKey: Uint8Array, record: Uint8Array): bigint =>
  BigInt(`0x${macOf(macKey, "sum", record.subarray(0, MAC_BYTES)).toString("hex")}`);

export const plus = (sum: bigint, weight: bigint): bigint => (sum + weight) % MODULUS;
export const minus = (sum: bigint, weight: bigint): bigint => (sum - weight + MODULUS) % MODULUS;

export function encodeHead(macKey: Uint8Array, { counter, sum }: Head): Buffer {
  const seal = macOf(macKey, "sum", Buffer.from(sum.toString(16))).toString("base64");
  return signed(macKey, "head", { counter, seal });
}

/** The counter, when the head is authentic; `fits`: whether it speaks of records with this sum. */
export function decodeHead(
  macKey: Uint8Array,
  bytes: Uint8Array,
  sum: bigint,
): { readonly counter: number; readonly fits: boolean } | undefined {
  const head = verified<{ counter: number; seal: string }>(macKey, "head", bytes);
  if (head === undefined) return undefined;
  const seal = macOf(macKey, "sum", Buffer.from(sum.toString(16))).toString("base64");
  return { counter: head.counter, fits: seal === head.seal };
}
