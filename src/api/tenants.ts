/** Operations on tenants: who there is, and what each may use. */
import { z } from "zod";
import { tenantName } from "#api/fields.ts";
import { field, json, unary } from "#api/operation.ts";

const limit = z.strictObject({
  name: field(1, z.string()),
  value: field(2, json()),
  own: field(3, z.boolean().describe("Set for this tenant; otherwise it follows [limits].")),
  from: field(4, z.string().describe("Where the value comes from.")),
});

const tenant = z.strictObject({
  tenant_id: field(1, z.string()),
  services: field(2, z.uint32().describe("How many it has, running or not.")),
  created_at: field(
    3,
    z.string().optional().describe("Unless it came into being by its first deploy."),
  ),
  limits: field(4, z.array(limit)),
});

const limits = z
  .record(z.string(), json())
  .describe("By name, as under [tenants.<name>] in the configuration; null takes one back.");

const whole = { permission: "admin", resource: () => "kernel", scope: "kernel" } as const;

export const createTenant = unary({
  ...whole,
  name: "CreateTenant",
  summary: "Make a tenant known before it has services, with limits of its own.",
  input: z.strictObject({
    tenant_id: field(1, tenantName),
    limits: field(2, limits.optional()),
  }),
  output: tenant,
  errors: ["already_exists", "limit_exceeded", "config_invalid"],
  http: { method: "POST", path: "/tenants", status: 201, location: "/tenants/{tenant_id}" },
  cli: { command: "tenants create", custom: true, positional: ["tenant_id"] },
});

export const listTenants = unary({
  ...whole,
  name: "ListTenants",
  summary: "Every tenant, with its services and limits.",
  input: z.strictObject({
    limit: field(
      1,
      z.uint32().min(1).max(1000).optional().describe("At most so many; 100 unless given."),
    ),
    after: field(2, z.string().max(64).optional().describe("Go on after this tenant.")),
  }),
  output: z.strictObject({
    tenants: field(1, z.array(tenant)),
    next: field(2, z.string().optional().describe("There are more: go on with `after` this.")),
  }),
  permission: "read",
  errors: [],
  http: { method: "GET", path: "/tenants" },
  cli: {
    command: "tenants list",
    table: { rows: "tenants", columns: ["tenant_id", "services", "created_at"] },
  },
});

export const getTenant = unary({
  ...whole,
  name: "GetTenant",
  summary: "One tenant, with its services and limits.",
  input: z.strictObject({ tenant_id: field(1, tenantName) }),
  output: tenant,
  permission: "read",
  errors: ["not_found"],
  http: { method: "GET", path: "/tenants/{tenant_id}" },
  cli: {
    command: "tenants show",
    positional: ["tenant_id"],
    table: { rows: "limits", columns: ["name", "value", "own", "from"] },
  },
});

export const deleteTenant = unary({
  ...whole,
  name: "DeleteTenant",
  summary:
    "Forget a tenant: its limits and its capabilities; with force its services and secrets too.",
  input: z.strictObject({
    tenant_id: field(1, tenantName),
    force: field(
      2,
      z.boolean().optional().describe("Kill the services and revoke the secrets that it has."),
    ),
  }),
  output: z.strictObject({
    tenant_id: field(1, z.string()),
    services_killed: field(2, z.uint32()),
    capabilities_revoked: field(3, z.uint32()),
    secrets_revoked: field(4, z.uint32()),
  }),
  errors: ["not_found", "conflict"],
  http: { method: "DELETE", path: "/tenants/{tenant_id}" },
  cli: { command: "tenants delete", positional: ["tenant_id"] },
});

export const setTenantLimits = unary({
  ...whole,
  name: "SetTenantLimits",
  summary: "Change limits of one tenant while the kernel runs; they outlive restarts.",
  input: z.strictObject({
    tenant_id: field(1, tenantName),
    limits: field(2, limits),
  }),
  output: tenant,
  errors: ["not_found", "config_invalid"],
  http: { method: "PUT", path: "/tenants/{tenant_id}/limits" },
  cli: { command: "tenants limits", custom: true, positional: ["tenant_id"] },
});
