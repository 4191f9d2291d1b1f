/** Operations on the revisions of a service: what there were, what differs, and the way back. */
import { z } from "zod";
import { serviceTarget } from "#api/fields.ts";
import { field, unary } from "#api/operation.ts";
import { change } from "#api/service-spec.ts";
import { difference, updated } from "#api/services.ts";

const revisionId = z.string().min(1).max(64);

const entry = {
  number: field(1, z.uint32().describe("From 1, in the order in which they became current.")),
  revision: field(2, z.string().describe("Content address of code and settings.")),
  parent: field(3, z.string().optional().describe("The revision that was current before.")),
  at: field(4, z.string().describe("UTC, ISO 8601.")),
  by: field(5, z.string().describe("The capability that asked for it, or `watchdog`.")),
  action: field(6, z.enum(["deploy", "update", "rollback"])),
  message: field(7, z.string().optional().describe("Why.")),
  current: field(8, z.boolean()),
};

export const listRevisions = unary({
  name: "ListRevisions",
  summary: "Which revisions of a service were current, newest first: who, when and why.",
  input: z.strictObject(serviceTarget),
  output: z.strictObject({ revisions: field(1, z.array(z.strictObject(entry))) }),
  permission: "read",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found"],
  http: { method: "GET", path: "/services/{service_id}/revisions" },
  cli: {
    command: "revisions",
    positional: ["service_id"],
    table: {
      rows: "revisions",
      columns: ["number", "revision", "current", "action", "at", "by", "message"],
    },
  },
});

export const getRevision = unary({
  name: "GetRevision",
  summary: "The source and the settings of one revision.",
  input: z.strictObject({ ...serviceTarget, revision: field(3, revisionId) }),
  output: z.strictObject({
    revision: field(1, z.string()),
    entry: field(2, z.string().describe("The file that is loaded first.")),
    files: field(3, z.record(z.string(), z.string())),
    settings: field(
      4,
      z.record(z.string(), z.string()).describe("By path, such as limits.memoryMb; as JSON."),
    ),
  }),
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found", "not_found"],
  http: { method: "GET", path: "/services/{service_id}/revisions/{revision}" },
  cli: { command: "revision", positional: ["service_id", "revision"] },
});

export const diffRevisions = unary({
  name: "DiffRevisions",
  summary: "What two revisions of a service differ in: a unified diff of the source, and settings.",
  input: z.strictObject({
    ...serviceTarget,
    from: field(
      3,
      revisionId.optional().describe("The revision before the current one unless given."),
    ),
    to: field(4, revisionId.optional().describe("The current one unless given.")),
  }),
  output: z.strictObject({
    from: field(1, z.string()),
    to: field(2, z.string()),
    diff: field(3, z.string().describe("Unified diff of all files; empty when they are equal.")),
    settings: field(4, z.array(difference).describe("By path; values as JSON.")),
  }),
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: ["service_not_found", "not_found", "conflict"],
  http: { method: "GET", path: "/services/{service_id}/diff" },
  cli: { command: "diff", custom: true },
});

export const rollback = unary({
  name: "Rollback",
  summary: "Make an earlier revision of a service current again: a hot swap back.",
  description:
    "The state comes along: through `downgrade` of the current revision if it has one, else through `codeChange` of the earlier one.",
  input: z.strictObject({
    ...serviceTarget,
    revision: field(
      3,
      revisionId
        .optional()
        .describe("Which one; unless given, the one that was current before the current one."),
    ),
    ...change,
  }),
  output: updated,
  permission: "deploy",
  resource: (input) => `service:${input.service_id}`,
  errors: [
    "service_not_found",
    "not_found",
    "startup_failed",
    "startup_timeout",
    "conflict",
    "permission_denied",
  ],
  http: { method: "POST", path: "/services/{service_id}/rollback" },
  cli: { command: "rollback", custom: true },
});
