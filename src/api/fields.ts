/** Schemas that several operations share. */
import { z } from "zod";
import { NAME_RULE, isName } from "#base/ids.ts";
import { json } from "#api/operation.ts";

const named = (what: string) => z.string().refine(isName, { error: NAME_RULE }).describe(what);

export const tenantId = named(
  "The tenant to act for; the token's own tenant unless given. Only the owner may name another.",
).optional();
export const serviceId = named("The service's name, unique within its tenant.");
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
export const eventId = z.int().min(0);
