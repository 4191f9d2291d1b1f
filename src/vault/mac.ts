/** Records of the vault that are not secret but must not change: a MAC, then JSON. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { MAC_BYTES } from "#vault/limits.ts";

/** What a record is, so that one can never pass for another. */
export type RecordKind = "keyring" | "secret" | "head" | "sum";

export const macOf = (key: Uint8Array, kind: RecordKind, body: Uint8Array): Buffer =>
  createHmac("sha256", key).update(`solo vault ${kind}\0`).update(body).digest();

export function signed(key: Uint8Array, kind: RecordKind, content: object): Buffer {
  const body = Buffer.from(JSON.stringify(content));
  return Buffer.concat([macOf(key, kind, body), body]);
}

/** The content, or undefined when a bit of it is not as it was signed. */
export function verified<T>(key: Uint8Array, kind: RecordKind, record: Uint8Array): T | undefined {
  const body = bodyOf(record);
  const mac = record.subarray(0, MAC_BYTES);
  if (mac.length !== MAC_BYTES || !timingSafeEqual(mac, macOf(key, kind, body))) return undefined;
  return JSON.parse(body.toString()) as T;
}

export const bodyOf = (record: Uint8Array): Buffer => Buffer.from(record.subarray(MAC_BYTES));
