/** Operations on secrets, and on the vault that keeps them. */
import { z } from "zod";
import { secretName, tenantId } from "#api/fields.ts";
import { field, unary } from "#api/operation.ts";

const MAX_VALUE_BYTES = 64 * 1024;
const MAX_KEY_CHARS = 1024;
/** 32 bytes. */
const KEY_BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

const base64 = (maxBytes: number) =>
  z
    .base64()
    .max(Math.ceil(maxBytes / 3) * 4)
    .optional();

const version = z.uint32().min(1);
const target = { tenant_id: field(1, tenantId), name: field(2, secretName) };

const callersKey = (first: number) => ({
  key: field(
    first,
    z
      .string()
      .min(1)
      .max(MAX_KEY_CHARS)
      .optional()
      .describe(
        "A passphrase of the caller's own, without which the value cannot be read again. Nobody can recover it.",
      ),
  ),
  key_base64: field(
    first + 1,
    z
      .string()
      .regex(KEY_BASE64, { error: "must be 32 bytes in base64" })
      .optional()
      .describe("The same as 32 random bytes. Give `key` or `key_base64`."),
  ),
});

const newValue = {
  ...target,
  value: field(
    3,
    z
      .string()
      .max(MAX_VALUE_BYTES)
      .optional()
      .describe("The value as text. Give `value` or `value_base64`."),
  ),
  value_base64: field(4, base64(MAX_VALUE_BYTES).describe("The value as bytes, at most 64 KiB.")),
  ...callersKey(5),
};

const stored = z.strictObject({
  tenant_id: field(1, z.string()),
  name: field(2, z.string()),
  version: field(3, version.describe("From 1; never given again for this name.")),
});

const value = z.strictObject({
  tenant_id: field(1, z.string()),
  name: field(2, z.string()),
  version: field(3, version),
  value: field(4, z.string().optional().describe("The value, when it is UTF-8 text.")),
  value_base64: field(5, z.string().optional().describe("The value, when it is not.")),
});

const resource = (input: { readonly name: string }): string => `secret:${input.name}`;
const KERNEL = () => "kernel";

export const store = unary({
  name: "StoreSecret",
  summary: "Store a secret, or a new version of it.",
  description:
    "Answers when it is sealed and on disk. Services that are bound to it get the new version the next time they ask.",
  input: z.strictObject(newValue),
  output: stored,
  permission: "write",
  resource,
  errors: ["invalid_argument", "limit_exceeded", "storage_corrupt", "overloaded"],
  http: { method: "POST", path: "/secrets", status: 201, location: "/secrets/{name}" },
  cli: { command: "secrets set", custom: true },
});

export const rotate = unary({
  name: "RotateSecret",
  summary: "Store a new version of a secret that exists.",
  input: z.strictObject(newValue),
  output: stored,
  permission: "write",
  resource,
  errors: ["invalid_argument", "not_found", "storage_corrupt", "overloaded"],
  http: { method: "POST", path: "/secrets/{name}/rotate" },
  cli: { command: "secrets rotate", custom: true },
});

export const retrieve = unary({
  name: "RetrieveSecret",
  summary: "Read a secret's value.",
  description: "The value leaves only after secret_accessed is on disk.",
  input: z.strictObject({
    ...target,
    version: field(3, version.optional().describe("The latest unless given.")),
  }),
  output: value,
  permission: "read",
  resource,
  errors: ["not_found", "permission_denied", "storage_corrupt"],
  http: { method: "GET", path: "/secrets/{name}" },
  cli: { command: "secrets get", custom: true },
});

export const retrieveWithKey = unary({
  name: "RetrieveSecretWithKey",
  summary: "Read a secret that was stored with a key of the caller's own.",
  description: "A request with a body, so that no key is ever in a URL.",
  input: z.strictObject({
    ...target,
    version: field(3, version.optional().describe("The latest unless given.")),
    ...callersKey(4),
  }),
  output: value,
  permission: "read",
  resource,
  errors: ["invalid_argument", "not_found", "permission_denied", "storage_corrupt", "overloaded"],
  http: { method: "POST", path: "/secrets/{name}/retrieve" },
});

const listedVersion = z
  .strictObject({
    version: field(1, version),
    created_at: field(2, z.string()),
    has_key: field(3, z.boolean().describe("Whether it opens only with its caller's key.")),
  })
  .meta({ title: "SecretVersion" });

const listing = z
  .strictObject({
    name: field(1, z.string()),
    latest: field(2, version),
    created_at: field(3, z.string().describe("Of the latest version: UTC, ISO 8601.")),
    versions: field(4, z.array(listedVersion)),
  })
  .meta({ title: "SecretListing" });

export const list = unary({
  name: "ListSecrets",
  summary: "The names, versions and ages of the tenant's secrets; never values.",
  input: z.strictObject({
    tenant_id: field(1, tenantId),
    limit: field(
      2,
      z.uint32().min(1).max(1000).optional().describe("At most so many; 100 unless given."),
    ),
    after: field(3, z.string().max(64).optional().describe("Continue after this name.")),
  }),
  output: z.strictObject({
    secrets: field(1, z.array(listing)),
    next: field(2, z.string().optional().describe("Pass as `after` for the next page.")),
  }),
  permission: "read",
  resource: KERNEL,
  errors: [],
  http: { method: "GET", path: "/secrets" },
  cli: {
    command: "secrets list",
    table: { rows: "secrets", columns: ["name", "latest", "created_at"] },
  },
});

export const revoke = unary({
  name: "RevokeSecret",
  summary: "Remove a secret, or one version of it.",
  input: z.strictObject({
    ...target,
    version: field(3, version.optional().describe("All of them unless given.")),
  }),
  output: z.strictObject({
    tenant_id: field(1, z.string()),
    name: field(2, z.string()),
    versions: field(3, z.array(version).describe("Those that are gone now.")),
  }),
  permission: "write",
  resource,
  errors: ["not_found", "storage_corrupt"],
  http: { method: "DELETE", path: "/secrets/{name}" },
  cli: { command: "secrets revoke", custom: true },
});

const rotated = z.strictObject({
  rewrapped: field(1, z.uint32().describe("Versions that are under the new key now.")),
  damaged: field(2, z.array(z.string()).describe("Rows that had been altered; no key opens them.")),
  key_id: field(3, z.string().describe("Names the key in use; tells nothing of it.")),
});

export const vaultStatus = unary({
  name: "VaultStatus",
  summary: "Whether the vault is sound, and which master key is in use.",
  input: z.strictObject({}),
  output: z.strictObject({
    ok: field(1, z.boolean()),
    key_from: field(2, z.enum(["environment", "passphrase", "credential", "file"])),
    key_id: field(3, z.string().describe("Names the key in use; tells nothing of it.")),
    rotating: field(4, z.boolean().describe("Whether a rotation has begun and not ended.")),
    broken: field(5, z.string().optional().describe("What is wrong with the vault as a whole.")),
    damaged: field(6, z.array(z.string()).describe("Secrets whose records were altered.")),
  }),
  permission: "admin",
  resource: KERNEL,
  scope: "kernel",
  errors: [],
  http: { method: "GET", path: "/vault" },
  cli: { command: "secrets status" },
});

/** Both ends of one exchange: begun by the owner, or found unfinished. */
const rotation = {
  input: z.strictObject({}),
  output: rotated,
  permission: "admin",
  resource: KERNEL,
  scope: "kernel",
  errors: ["conflict", "storage_full", "unavailable"],
} as const;

export const rotateMasterKey = unary({
  ...rotation,
  name: "RotateMasterKey",
  summary: "Exchange the vault's master key, while everybody goes on.",
  description:
    "Makes a new key in the key file and wraps every secret with it; answers when the old key opens nothing any more. Refused when the key comes from the environment, a passphrase or a credential: see docs/vault.md.",
  http: { method: "POST", path: "/vault/rotate" },
  cli: { command: "secrets rotate-master-key" },
});

export const resumeRotation = unary({
  ...rotation,
  name: "ResumeRotation",
  summary: "End a rotation of the master key that was cut short.",
  description: "A start of the kernel does so by itself.",
  http: { method: "POST", path: "/vault/resume" },
  cli: { command: "secrets resume-rotation" },
});

export const acceptVault = unary({
  name: "AcceptVault",
  summary: "Take an altered vault as it is: what is authentic stays, the rest is dropped.",
  input: z.strictObject({}),
  output: z.strictObject({
    dropped: field(1, z.array(z.string()).describe("Secrets whose records were altered.")),
  }),
  permission: "admin",
  resource: KERNEL,
  scope: "kernel",
  errors: ["unavailable"],
  http: { method: "POST", path: "/vault/accept" },
  cli: { command: "secrets accept" },
});
