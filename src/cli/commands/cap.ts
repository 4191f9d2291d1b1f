/** Capabilities: those that are made print their token, once. */
import { readFile } from "node:fs/promises";
import { Option } from "commander";
import { EXIT, SoloError } from "#base/errors.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { derived } from "#cli/commands/derived.ts";
import { record } from "#cli/render/record.ts";
import type { Row } from "#cli/render/table.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";
import { integer, jsonOrWord, longDuration } from "#cli/values.ts";
import { operations } from "#client/operations.ts";

const HEADING = "Authority:";

/** `read,invoke` and repeated options alike. */
const words = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(",").filter((each) => each !== ""),
];

const termOptions = (): Option[] => [
  new Option(
    "--permission <names>",
    "What may be done: read, write, invoke, deploy, use, connect, publish, subscribe, admin. Repeat it or separate by commas.",
  ).argParser(words),
  new Option(
    "--resource <patterns>",
    "With what: service:ledger, secret:api_*, net:*.example.com, events … Repeat it or separate by commas.",
  ).argParser(words),
  new Option("--calls <json>", "Only these handlers of services, as docs/capabilities.md has it."),
  new Option("--ttl <duration>", "How long it lives, such as 15m, 8h or 30d.").argParser(
    longDuration,
  ),
  new Option("--max-uses <n>", "How often it can be used at all.").argParser(integer),
  new Option("--rate <n>", "Uses in any 60 seconds.").argParser(integer),
  new Option("--max-depth <n>", "Levels that may be derived below it.").argParser(integer),
  new Option("--max-children <n>", "How many may be derived directly from it.").argParser(integer),
  new Option("--label <text>", "What it is for."),
];

const holderOptions = (): Option[] => [
  new Option("--for-tenant <id>", "Only this tenant may present it, where a connection proves it."),
  new Option(
    "--for-service <id>",
    "Only this running service holds it; there is no token.",
  ).conflicts("forTenant"),
];

function termsOf(options: Given["options"]): Row {
  const { permission, resource, calls, ttl, maxUses, rate, maxDepth, maxChildren, label } = options;
  const rules = typeof calls === "string" ? jsonOrWord(calls) : undefined;
  if (rules !== undefined && !Array.isArray(rules)) {
    throw new UsageError("--calls must be a JSON array of rules.");
  }
  const given = {
    permissions: permission,
    resources: resource,
    calls: rules,
    ttl_ms: ttl,
    max_uses: maxUses,
    rate_per_minute: rate,
    max_depth: maxDepth,
    max_children: maxChildren,
    label,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const holderOf = ({ forTenant, forService }: Given["options"]): Row | undefined => {
  if (typeof forTenant === "string") return { tenant_id: forTenant };
  return typeof forService === "string" ? { service_id: forService } : undefined;
};

interface Made {
  readonly capability: object;
  readonly token?: string | undefined;
}

async function printMade(session: Session, { capability, token }: Made): Promise<number> {
  if (session.json) await session.out.json({ capability, ...(token !== undefined && { token }) });
  else {
    const row: Row = { ...capability, ...(token !== undefined && { token }) };
    await session.out.line(record(row, session.paint));
    if (token !== undefined) session.remark("The token is shown this once; nobody can look it up.");
  }
  return EXIT.OK;
}

const grant: CommandSpec = {
  name: "cap grant",
  heading: HEADING,
  summary: operations.GrantCapability.summary,
  options: [
    ...termOptions(),
    ...holderOptions(),
    new Option("--every-tenant", "For every tenant and the kernel itself."),
  ],
  examples: [
    "solo cap grant --permission invoke --resource service:ledger --ttl 8h --label ci",
    "solo cap grant --tenant acme --permission read,invoke,deploy --resource kernel,service:* --json",
  ],
  async run(session, { options }) {
    const terms = termsOf(options);
    if (terms["permissions"] === undefined || terms["resources"] === undefined) {
      throw new UsageError("Name at least one --permission and one --resource.");
    }
    const holder = holderOf(options);
    const client = await session.client();
    const input = {
      ...terms,
      ...(holder && { holder }),
      ...(options["everyTenant"] === true && { every_tenant: true }),
    };
    return printMade(session, await client.grantCapability(input as never, session.request));
  },
};

const attenuate: CommandSpec = {
  name: "cap attenuate",
  heading: HEADING,
  summary: operations.AttenuateCapability.summary,
  positional: "<id>",
  options: termOptions(),
  examples: [
    "SOLO_TOKEN=$CI_TOKEN solo cap attenuate self --resource service:ledger --ttl 5m --max-uses 1",
  ],
  async run(session, { args: [id = ""], options }) {
    const client = await session.client();
    const input = { id, ...termsOf(options) };
    return printMade(session, await client.attenuateCapability(input, session.request));
  },
};

const delegate: CommandSpec = {
  name: "cap delegate",
  heading: HEADING,
  summary: operations.DelegateCapability.summary,
  positional: "<id>",
  options: [...termOptions(), ...holderOptions()],
  examples: ["solo cap delegate self --resource secret:api_key --for-service checkout"],
  async run(session, { args: [id = ""], options }) {
    const holder = holderOf(options);
    if (holder === undefined) throw new UsageError("Name --for-tenant or --for-service.");
    const client = await session.client();
    const input = { id, holder, ...termsOf(options) };
    return printMade(session, await client.delegateCapability(input, session.request));
  },
};

const MAX_INPUT_CHARS = 4096;

async function start(stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  let text = "";
  for await (const chunk of stdin) {
    text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
    if (text.length > MAX_INPUT_CHARS) break;
  }
  return text;
}

/** A token is no word of a command line: other users of the machine can read those. */
async function tokenFrom(session: Session, file: string | undefined): Promise<string> {
  const { stdin } = session.powers;
  const text = file === undefined ? await start(stdin) : await readFile(session.path(file), "utf8");
  const token = text.trim();
  if (token !== "") return token;
  throw new SoloError("invalid_argument", "There is no token to look at.", {
    hint: "Pipe it in, or name its file with --from.",
  });
}

const verify: CommandSpec = {
  name: "cap verify",
  heading: HEADING,
  summary: operations.VerifyCapability.summary,
  description: `${operations.VerifyCapability.summary} The token is read from standard
input, or from a file with --from; never from the command line.`,
  positional: "<permission> <resource>",
  options: [
    new Option("--from <file>", "The file that holds the token."),
    new Option("--handler <name>", "Of an invocation: calls.pay, casts.reset, fetch.GET."),
    new Option("--args <json>", "The arguments of the handler: a JSON array."),
  ],
  examples: ["solo cap verify invoke service:ledger --from ci.token"],
  async run(session, { args: [permission = "", resource = ""], options }) {
    const { from, handler, args } = options;
    const token = await tokenFrom(session, typeof from === "string" ? from : undefined);
    const client = await session.client();
    const input = {
      token,
      permission,
      resource,
      ...(typeof handler === "string" && { handler }),
      ...(typeof args === "string" && { args: jsonOrWord(args) }),
    };
    const answer = await client.verifyCapability(input as never, session.request);
    if (session.json) await session.out.json(answer);
    else await session.out.line(record(answer, session.paint));
    return answer.allowed ? EXIT.OK : EXIT.DENIED;
  },
};

export const capabilities: readonly CommandSpec[] = [
  grant,
  attenuate,
  delegate,
  derived("RevokeCapability", HEADING, ["solo cap revoke c_1f0a…"]),
  derived("ListCapabilities", HEADING, ["solo cap list --tenant acme"]),
  derived("InspectCapability", HEADING, ["solo cap inspect self"]),
  verify,
];
