/** Operations on the configuration of the running kernel. */
import { z } from "zod";
import { field, json, unary } from "#api/operation.ts";

const setting = z.strictObject({
  key: field(1, z.string().describe("Such as limits.max_total or tenants.acme.mailbox.")),
  value: field(2, json()),
  from: field(
    3,
    z
      .string()
      .describe("default, file:line:column, an environment variable, a flag, or runtime update."),
  ),
  runtime: field(4, z.boolean().describe("Whether it may change while the kernel runs.")),
});

export const getConfig = unary({
  name: "GetConfig",
  summary: "The settings in force, and where each value comes from.",
  input: z.strictObject({
    key: field(
      1,
      z
        .string()
        .max(256)
        .optional()
        .describe("One setting, or a section such as limits; all unless given."),
    ),
  }),
  output: z.strictObject({ settings: field(1, z.array(setting)) }),
  permission: "read",
  resource: () => "kernel",
  scope: "kernel",
  errors: ["not_found"],
  http: { method: "GET", path: "/config" },
  cli: {
    command: "config get",
    custom: true,
    table: { rows: "settings", columns: ["key", "value", "from", "runtime"] },
  },
});

export const setConfig = unary({
  name: "SetConfig",
  summary: "Change a setting while the kernel runs; it outlives restarts.",
  description:
    "Only settings that may change at run time; the value goes before flags, environment and file " +
    "until it is taken back by a request without a value.",
  input: z.strictObject({
    key: field(1, z.string().min(1).max(256)),
    value: field(2, json().optional().describe("Without one, or null: takes the change back.")),
  }),
  output: setting,
  permission: "admin",
  resource: () => "kernel",
  scope: "kernel",
  errors: ["config_invalid"],
  http: { method: "PUT", path: "/config/{key}" },
  cli: { command: "config set", custom: true },
});
