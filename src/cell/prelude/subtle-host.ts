/**
 * The host's half of crypto.subtle: one request in, one answer out, no state kept.
 *
 * 1. Everything in the request is hostile: it is rebuilt, never passed on as it came.
 * 2. An error of Web Crypto is an answer, by name; only its own message is repeated.
 * 3. Work that one request can ask for is bounded by the named limits below.
 */
import type { webcrypto } from "node:crypto";
import type { SubtleAnswer, WireKey } from "./host.ts";

const MAX_RSA_BITS = 4096;
const MAX_PBKDF2_ITERATIONS = 2_000_000;
const MAX_DEPTH = 4;

type Key = webcrypto.CryptoKey;
type Dictionary = Record<string, unknown>;

/** The subset of Web Crypto's operations a guest may name. */
const OPERATIONS = [
  "digest",
  "generateKey",
  "importKey",
  "exportKey",
  "sign",
  "verify",
  "encrypt",
  "decrypt",
  "deriveBits",
  "deriveKey",
  "wrapKey",
  "unwrapKey",
] as const;
type Operation = (typeof OPERATIONS)[number];

const failure = (name: string, message: string): Error => new DOMException(message, name);

/** The operations that make keys, and where their `extractable` stands; the key's algorithm is before it. */
const EXTRACTABLE_AT: Partial<Record<Operation, number>> = {
  generateKey: 1,
  importKey: 3,
  deriveKey: 3,
  unwrapKey: 5,
};

/** Key derivation keys cannot be exported, so their material is taken from the import. */
const DERIVATION = /^(?:hkdf|pbkdf2)$/i;

const formatOf = (key: Key): WireKey["format"] =>
  key.type === "secret" ? "raw" : key.type === "private" ? "pkcs8" : "spki";

async function decodeKey(wire: WireKey): Promise<Key> {
  const format = (["raw", "pkcs8", "spki"] as const).find((each) => each === wire.format);
  if (format === undefined) throw new TypeError("The key is malformed");
  const bytes = Buffer.from(String(wire.data), "base64");
  const algorithm = (await decode(wire.algorithm, 1)) as webcrypto.AlgorithmIdentifier;
  const extractable = !DERIVATION.test(
    String((algorithm as Partial<webcrypto.Algorithm> | null)?.name),
  );
  return crypto.subtle.importKey(
    format,
    bytes,
    algorithm,
    extractable,
    wire.usages as webcrypto.KeyUsage[],
  );
}

async function decode(value: unknown, depth: number): Promise<unknown> {
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw new TypeError("The arguments are nested too deeply");
  if (Array.isArray(value)) return Promise.all(value.map((each) => decode(each, depth + 1)));
  const dictionary = value as Dictionary;
  if (typeof dictionary["$bytes"] === "string")
    return new Uint8Array(Buffer.from(dictionary["$bytes"], "base64"));
  if (typeof dictionary["$key"] === "object" && dictionary["$key"] !== null) {
    return decodeKey(dictionary["$key"] as WireKey);
  }
  const copy: Dictionary = {};
  for (const [name, each] of Object.entries(dictionary)) {
    if (name !== "__proto__") copy[name] = await decode(each, depth + 1);
  }
  return copy;
}

interface Made {
  readonly extractable: boolean;
  /** The raw bytes that a key derivation key was imported from. */
  readonly imported: unknown;
}

async function encodeKey(key: Key, { extractable, imported }: Made): Promise<{ $key: WireKey }> {
  const format = formatOf(key);
  const material = DERIVATION.test(key.algorithm.name)
    ? Buffer.from(imported as Uint8Array)
    : Buffer.from((await crypto.subtle.exportKey(format, key)) as ArrayBuffer);
  return {
    $key: {
      type: key.type,
      extractable: key.type === "public" || extractable,
      usages: [...key.usages],
      algorithm: encodePlain(key.algorithm),
      format,
      data: material.toString("base64"),
    },
  };
}

function encodePlain(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    return {
      $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
    };
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(encodePlain);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, encodePlain(each)]));
}

async function encode(value: unknown, made: Made): Promise<unknown> {
  if (value instanceof CryptoKey) return encodeKey(value, made);
  if (typeof value === "object" && value !== null && "privateKey" in value) {
    const pair = value as webcrypto.CryptoKeyPair;
    return {
      publicKey: await encodeKey(pair.publicKey, made),
      privateKey: await encodeKey(pair.privateKey, made),
    };
  }
  return encodePlain(value);
}

function checkCost(value: unknown): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  const { modulusLength, iterations } = value as Dictionary;
  if (Number(modulusLength) > MAX_RSA_BITS) {
    throw failure("OperationError", `modulusLength may be at most ${MAX_RSA_BITS} here`);
  }
  if (Number(iterations) > MAX_PBKDF2_ITERATIONS) {
    throw failure("OperationError", `iterations may be at most ${MAX_PBKDF2_ITERATIONS} here`);
  }
}

/** A key made `extractable: false` must still be exported once, here, to travel; the guest is told false. */
async function perform(operation: Operation, args: unknown[]): Promise<unknown> {
  args.forEach(checkCost);
  const at = EXTRACTABLE_AT[operation];
  // Reached only now: loading Web Crypto would be a third of a cell's start.
  const { subtle } = crypto;
  const run = subtle[operation] as (...args: unknown[]) => Promise<unknown>;
  const made: Made = { extractable: at !== undefined && Boolean(args[at]), imported: args[1] };
  if (at === undefined) return encode(await run.apply(subtle, args), made);
  const algorithm = args[at - 1];
  const name =
    typeof algorithm === "string" ? algorithm : (algorithm as Dictionary | null)?.["name"];
  const derivation = DERIVATION.test(String(name));
  const asked = [...args];
  if (!derivation) asked[at] = true;
  return encode(await run.apply(subtle, asked), made);
}

function checkExport(operation: Operation, wireArgs: readonly unknown[]): void {
  const at = operation === "exportKey" || operation === "wrapKey" ? 1 : -1;
  const key = (wireArgs[at] as { $key?: WireKey } | undefined)?.$key;
  if (key !== undefined && !key.extractable) {
    throw failure("InvalidAccessError", "key is not extractable");
  }
}

/** Answers one `request("crypto.subtle", …)`. Never rejects. */
export async function answerSubtle(request: unknown): Promise<SubtleAnswer> {
  try {
    const { operation: named, args } = (request ?? {}) as { operation?: unknown; args?: unknown };
    const operation = OPERATIONS.find((each) => each === named);
    if (operation === undefined || !Array.isArray(args)) throw new TypeError("No such operation");
    checkExport(operation, args);
    return { value: await perform(operation, (await decode(args, 0)) as unknown[]) };
  } catch (thrown) {
    const error = thrown as Partial<Error> | null;
    const name =
      thrown instanceof DOMException
        ? thrown.name
        : thrown instanceof TypeError
          ? "TypeError"
          : "OperationError";
    return {
      error: {
        name,
        message: typeof error?.message === "string" ? error.message : "The operation failed",
      },
    };
  }
}
