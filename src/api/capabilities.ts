/**
 * Operations on capabilities.
 *
 * 1. A token is told once, by the operation that made it.
 * 2. Nothing can be made that holds more than what was presented.
 */
import { z } from "zod";
import {
  args,
  callRules,
  permissions,
  ratePerMinute,
  resources,
  serviceId,
  tenantId,
} from "#api/fields.ts";
import { field, json, unary } from "#api/operation.ts";

/** What every capability may do with itself; see src/capability/resource.ts. */
const SELF = () => "self";
const ALL = () => "capabilities";
const MAX_LABEL_CHARS = 100;

const id = z
  .string()
  .min(1)
  .max(64)
  .describe("A capability's id; self is the one that is presented.");

const narrower = {
  permissions: field(2, permissions.optional()),
  resources: field(3, resources.optional()),
  calls: field(4, callRules),
  ttl_ms: field(5, z.int().min(1).optional().describe("How long it lives.")),
  max_uses: field(
    6,
    z.uint32().min(1).max(1_000_000_000).optional().describe("How often it can be used at all."),
  ),
  rate_per_minute: field(7, ratePerMinute.optional()),
  max_depth: field(8, z.uint32().max(15).optional().describe("Levels that may be derived below.")),
  max_children: field(
    9,
    z.uint32().max(10_000).optional().describe("How many may be derived directly from it."),
  ),
  label: field(10, z.string().max(MAX_LABEL_CHARS).optional().describe("What it is for.")),
};

const holder = z
  .strictObject({
    tenant_id: field(1, tenantId.describe("Only this tenant, where the connection proves it.")),
    service_id: field(
      2,
      serviceId.optional().describe("Only this service, which gets a handle and no token."),
    ),
  })
  .describe("Who may present it; whoever has the token unless given.");

const view = z
  .strictObject({
    id: field(1, z.string()),
    parent_id: field(2, z.string().describe("What it was derived from; c_owner is the owner's.")),
    tenant_id: field(3, z.string().nullable().describe("Null: of every tenant and the kernel.")),
    holder: field(
      4,
      z
        .strictObject({
          kind: field(1, z.enum(["bearer", "tenant", "service"])),
          tenant_id: field(2, z.string().optional()),
          service_id: field(3, z.string().optional()),
        })
        .meta({ title: "CapabilityHolder" }),
    ),
    permissions: field(5, z.array(z.string())),
    resources: field(6, z.array(z.string())),
    calls: field(7, callRules),
    label: field(8, z.string()),
    state: field(
      9,
      z
        .enum(["active", "expired", "revoked", "ended_above"])
        .describe("ended_above: something that it was derived from has ended."),
    ),
    level: field(10, z.uint32().describe("Levels below the owner's.")),
    ancestors: field(11, z.array(z.string()).describe("From its parent up.")),
    children: field(12, z.uint32()),
    uses: field(13, z.int().describe("Counted where max_uses is set, here or above.")),
    uses_in_last_minute: field(14, z.uint32()),
    rate_per_minute: field(15, z.int().optional()),
    max_uses: field(16, z.int().optional()),
    max_depth: field(17, z.uint32()),
    max_children: field(18, z.uint32()),
    created_at: field(19, z.string()),
    expires_at: field(20, z.string().optional()),
    revoked_at: field(21, z.string().optional()),
  })
  .meta({ title: "Capability" });

const made = z.strictObject({
  capability: field(1, view),
  token: field(
    2,
    z.string().optional().describe("Told once, here. A service's capability has none."),
  ),
});

const ERRORS = ["invalid_argument", "not_found", "permission_denied", "limit_exceeded"] as const;

export const grant = unary({
  name: "GrantCapability",
  summary: "Make a capability from the one that is presented, for somebody else.",
  input: z.strictObject({
    tenant_id: field(1, tenantId),
    ...narrower,
    permissions: field(2, permissions),
    resources: field(3, resources),
    holder: field(11, holder.optional()),
    every_tenant: field(
      12,
      z
        .boolean()
        .optional()
        .describe("For every tenant and the kernel itself; only the owner's can give that."),
    ),
  }),
  output: made,
  permission: "admin",
  resource: ALL,
  errors: [...ERRORS, "service_not_found"],
  http: { method: "POST", path: "/capabilities", status: 201 },
  cli: { command: "cap grant", custom: true },
});

export const attenuate = unary({
  name: "AttenuateCapability",
  summary: "Derive a capability that holds less, for the same holder.",
  input: z.strictObject({ id: field(1, id), ...narrower }),
  output: made,
  permission: "read",
  resource: SELF,
  errors: ERRORS,
  http: { method: "POST", path: "/capabilities/{id}/attenuate", status: 201 },
  cli: { command: "cap attenuate", custom: true },
});

export const delegate = unary({
  name: "DelegateCapability",
  summary: "Derive a capability that holds as much or less, for another holder.",
  input: z.strictObject({ id: field(1, id), ...narrower, holder: field(11, holder) }),
  output: made,
  permission: "read",
  resource: SELF,
  errors: [...ERRORS, "service_not_found"],
  http: { method: "POST", path: "/capabilities/{id}/delegate", status: 201 },
  cli: { command: "cap delegate", custom: true },
});

export const revoke = unary({
  name: "RevokeCapability",
  summary: "End a capability and all that was derived from it, at once.",
  description:
    "Whoever presents the capability or one above it may do so, and whoever may admin the tenant's capabilities.",
  input: z.strictObject({ id: field(1, id) }),
  output: z.strictObject({
    id: field(1, z.string()),
    ended: field(2, z.uint32().describe("How many ended, those below it included.")),
  }),
  permission: "read",
  resource: SELF,
  errors: ["not_found"],
  http: { method: "DELETE", path: "/capabilities/{id}" },
  cli: { command: "cap revoke", positional: ["id"] },
});

export const listCapabilities = unary({
  name: "ListCapabilities",
  summary: "The tenant's capabilities, oldest first.",
  input: z.strictObject({
    tenant_id: field(1, tenantId),
    service_id: field(2, serviceId.optional().describe("Only those that this service holds.")),
    include_ended: field(3, z.boolean().optional()),
    limit: field(
      4,
      z.uint32().min(1).max(1000).optional().describe("At most so many; 100 unless given."),
    ),
    after: field(5, z.string().max(64).optional().describe("Continue after this id.")),
  }),
  output: z.strictObject({
    capabilities: field(1, z.array(view)),
    next: field(2, z.string().optional().describe("Pass as `after` for the next page.")),
  }),
  permission: "read",
  resource: ALL,
  errors: [],
  http: { method: "GET", path: "/capabilities" },
  cli: {
    command: "cap list",
    table: {
      rows: "capabilities",
      columns: ["id", "state", "tenant_id", "permissions", "resources", "expires_at", "label"],
    },
  },
});

export const inspect = unary({
  name: "InspectCapability",
  summary: "What a capability holds, and how it is.",
  description:
    "For whoever presents the capability or one above it, and whoever may read the tenant's capabilities.",
  input: z.strictObject({ id: field(1, id) }),
  output: view,
  permission: "read",
  resource: SELF,
  errors: ["not_found"],
  http: { method: "GET", path: "/capabilities/{id}" },
  cli: { command: "cap inspect", positional: ["id"] },
});

export const verify = unary({
  name: "VerifyCapability",
  summary: "Whether a token would be allowed something; no use of it is counted.",
  input: z.strictObject({
    tenant_id: field(1, tenantId.describe("Whose resource; the token's own tenant unless given.")),
    token: field(2, z.string().min(1).max(256)),
    permission: field(3, z.string().min(1).max(32)),
    resource: field(4, z.string().min(1).max(300).describe("Such as service:ledger; no pattern.")),
    handler: field(
      5,
      z.string().max(256).optional().describe("Of an invocation: calls.pay, fetch.GET …"),
    ),
    args: field(6, args),
  }),
  output: z.strictObject({
    allowed: field(1, z.boolean()),
    capability_id: field(2, z.string().optional()),
    denial: field(3, json().optional().describe("Why not; as in an error's denial.")),
  }),
  permission: "read",
  resource: SELF,
  errors: ["invalid_argument"],
  http: { method: "POST", path: "/capabilities/verify" },
  cli: { command: "cap verify", custom: true },
});
