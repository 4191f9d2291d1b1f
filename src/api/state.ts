/** Operations on what services keep: look at it, carry it elsewhere, replace it. */
import { z } from "zod";
import { serviceTarget } from "#api/fields.ts";
import { field, json, unary } from "#api/operation.ts";

const MAX_SLOT = 63;
/** A state has 8 MiB at most; JSON escapes of its text may double it. */
const MAX_STATE_CHARS = 8 * 1024 * 1024;

const slot = field(
  3,
  z
    .uint32()
    .max(MAX_SLOT)
    .optional()
    .describe("Of a service with several instances; 0 unless given."),
);

const document = z
  .strictObject({
    format: field(1, z.string().max(64)),
    form: field(2, z.uint32()),
    source_hash: field(3, z.string().max(128).describe("Of the source that wrote the state.")),
    version: field(
      4,
      z.string().max(64).optional().describe("What the service called its version then."),
    ),
    state: field(5, z.string().max(MAX_STATE_CHARS).describe("The encoded state.")),
    sha256: field(6, z.string().max(64).describe("Over the other fields, hex.")),
  })
  .describe("A state that vouches for itself.");

const resource = (input: { service_id: string }): string => `service:${input.service_id}`;

export const getState = unary({
  name: "GetState",
  summary: "The state of a service, as JSON.",
  description:
    'Of a running instance its present state, else what is stored. What JSON lacks is shown as an object such as {"$map": …}, {"$date": …} or {"$bigint": …}.',
  input: z.strictObject({ ...serviceTarget, slot }),
  output: z.strictObject({
    state: field(1, json()),
    source: field(2, z.enum(["running", "stored"])),
    bytes: field(3, z.int().describe("Size of the encoded state.")),
    version: field(4, z.string().optional()),
    saved_at: field(5, z.string().optional().describe("UTC, ISO 8601; of a stored state.")),
    truncated: field(6, z.boolean().describe('Parts were left out, marked by {"$more": true}.')),
  }),
  permission: "read",
  resource,
  errors: ["service_not_found", "not_found", "service_error", "storage_corrupt"],
  http: { method: "GET", path: "/services/{service_id}/state" },
  cli: { command: "state get", custom: true },
});

export const exportState = unary({
  name: "ExportState",
  summary: "The state of a service as a document that ImportState takes.",
  input: z.strictObject({ ...serviceTarget, slot }),
  output: z.strictObject({ document: field(1, document) }),
  permission: "read",
  resource,
  errors: ["service_not_found", "not_found", "service_error", "storage_corrupt"],
  http: { method: "GET", path: "/services/{service_id}/state/export" },
  cli: { command: "state export", custom: true },
});

const replaced = z.strictObject({
  service_id: field(1, z.string()),
  instance_id: field(2, z.string().describe("The instance that runs with the new state.")),
  started_in_ms: field(3, z.number()),
});

export const importState = unary({
  name: "ImportState",
  summary: "Replace the state of a service by an exported one.",
  description:
    "The service is stopped in an orderly way and started with the new state, migrated by its `codeChange` if other source wrote it. When it does not start with it, it goes on with the old one.",
  input: z.strictObject({ ...serviceTarget, slot, document: field(4, document) }),
  output: replaced,
  permission: "deploy",
  resource,
  errors: [
    "service_not_found",
    "invalid_argument",
    "payload_too_large",
    "startup_failed",
    "startup_timeout",
    "conflict",
  ],
  http: { method: "PUT", path: "/services/{service_id}/state" },
  cli: { command: "state import", custom: true },
});

export const resetState = unary({
  name: "ResetState",
  summary: "Forget the state of a service and start it with a fresh one.",
  description: "`solo.kv` is kept. When the service does not start, it goes on with the old state.",
  input: z.strictObject({ ...serviceTarget, slot }),
  output: replaced,
  permission: "deploy",
  resource,
  errors: ["service_not_found", "startup_failed", "startup_timeout", "conflict"],
  http: { method: "DELETE", path: "/services/{service_id}/state" },
  cli: { command: "state reset", positional: ["service_id"] },
});
