/** `solo tenants`: who there is, and what each may use. */
import type { Json } from "#api/operation.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec } from "#cli/command-spec.ts";
import { derived } from "#cli/commands/derived.ts";
import { printAnswer } from "#cli/print.ts";
import { UsageError } from "#cli/usage-error.ts";
import { jsonOrWord } from "#cli/values.ts";

/** `mailbox=50`; `mailbox=` takes the limit back. */
function limitsOf(words: readonly string[]): Record<string, Json> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, value] = /^([a-z_]+)=(.*)$/s.exec(word) ?? [];
      if (name === undefined || value === undefined) {
        throw new UsageError(`"${word}" is no limit.`, "Write it like mailbox=50.");
      }
      return [name, value === "" ? null : jsonOrWord(value)];
    }),
  );
}

const create: CommandSpec = {
  name: "tenants create",
  heading: "Tenants:",
  summary: operations.CreateTenant.summary,
  positional: "<tenant_id> [limits...]",
  examples: ["solo tenants create acme", "solo tenants create acme max_per_tenant=5 mailbox=50"],
  async run(session, { args: [tenant_id = "", ...words] }) {
    const client = await session.client();
    const limits = limitsOf(words);
    const answer = await client.createTenant(
      { tenant_id, ...(words.length > 0 && { limits }) },
      session.request,
    );
    return printAnswer(session, "GetTenant", answer);
  },
};

const limits: CommandSpec = {
  name: "tenants limits",
  heading: "Tenants:",
  summary: operations.SetTenantLimits.summary,
  description: `${operations.SetTenantLimits.summary}
\`name=\` without a value takes a limit back. Without any limit it shows them.`,
  positional: "<tenant_id> [limits...]",
  examples: [
    "solo tenants limits acme mailbox=50 max_per_tenant=5",
    "solo tenants limits acme mailbox=",
  ],
  async run(session, { args: [tenant_id = "", ...words] }) {
    const client = await session.client();
    const answer =
      words.length === 0
        ? await client.getTenant({ tenant_id }, session.request)
        : await client.setTenantLimits({ tenant_id, limits: limitsOf(words) }, session.request);
    return printAnswer(session, "GetTenant", answer);
  },
};

export const tenants: readonly CommandSpec[] = [
  create,
  derived("ListTenants", "Tenants:", ["solo tenants list"]),
  derived("GetTenant", "Tenants:", ["solo tenants show acme"]),
  limits,
  derived("DeleteTenant", "Tenants:", [
    "solo tenants delete acme",
    "solo tenants delete acme --force",
  ]),
];
