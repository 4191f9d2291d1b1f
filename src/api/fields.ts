/** Schemas that several operations share. */
import { z } from "zod";
import { NAME_RULE, isName } from "#base/ids.ts";
import { field, json } from "#api/operation.ts";

const named = (what: string) => z.string().refine(isName, { error: NAME_RULE }).describe(what);

export const tenantName = named("The tenant's name.");
export const tenantId = named(
  "The tenant to act for; the token's own tenant unless given. Only the owner may name another.",
).optional();
export const serviceId = named("The service's name, unique within its tenant.");
export const secretName = named("The secret's name, unique within its tenant.");
export const handlerName = z
  .string()
  .min(1)
  .max(128)
  .describe("The name of the handler in the service's `calls` or `casts`.");
export const args = z
  .array(json())
  .max(64)
  .optional()
  .describe("Arguments of the handler: any JSON values.");
export const timeoutMs = z.int32().min(1).max(3_600_000);
export const serviceTarget = { tenant_id: field(1, tenantId), service_id: field(2, serviceId) };
export const eventId = z.int().min(0);

const name = z.string().min(1).max(256);

/** One test of one argument; exactly one of the tests is given, `min` and `max` count as one. */
const constraint = z
  .strictObject({
    index: field(1, z.uint32().describe("Which argument; 0 is the first.")),
    path: field(2, z.array(name).max(8).optional().describe("The field in it, name by name.")),
    equals: field(3, json().optional().describe("Text, a number, true, false or null.")),
    one_of: field(4, z.array(json()).max(100).optional()),
    min: field(5, z.number().optional()),
    max: field(6, z.number().optional()),
    prefix: field(7, name.optional().describe("A text that starts so.")),
  })
  .describe("A test that an argument must pass.");

const callRule = z
  .strictObject({
    handler: field(
      1,
      name.describe(
        "`calls.<name>`, `casts.<name>` or `fetch.<METHOD>` (its argument 0 is the path); `*` may stand for the name.",
      ),
    ),
    args: field(2, z.array(constraint).max(16).optional().describe("All of them must hold.")),
    max_args: field(3, z.uint32().max(64).optional().describe("At most so many arguments.")),
  })
  .describe("Handlers that may be reached, with which arguments.");

export const callRules = z
  .array(callRule)
  .max(64)
  .optional()
  .describe("Of the services that may be invoked, only these handlers.");
export const resources = z
  .array(z.string().min(1).max(300))
  .min(1)
  .max(32)
  .describe("Patterns such as service:ledger, service:shop-*, secret:api_key, net:*.example.com.");
export const permissions = z
  .array(z.string().min(1).max(32))
  .min(1)
  .max(16)
  .describe("Of read, write, invoke, deploy, use, connect, publish, subscribe, admin.");
export const ratePerMinute = z
  .uint32()
  .min(1)
  .max(1_000_000_000)
  .describe("Uses in any 60 seconds.");
