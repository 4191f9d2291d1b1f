/** `solo certs`: the data directory's own certificate authority. Needs no kernel. */
import { InvalidArgumentError, Option } from "commander";
import type { CertificateBook } from "#certs/book.ts";
import type { Holder } from "#certs/holder.ts";
import { EXIT } from "#base/errors.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { type Row, table } from "#cli/render/table.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";
import { integer } from "#cli/values.ts";

const DEFAULT_DAYS = 365;
const MAX_DAYS = 3650;

function validDays(text: string): number {
  const value = integer(text);
  if (value >= 1 && value <= MAX_DAYS) return value;
  throw new InvalidArgumentError(`Expected 1 to ${MAX_DAYS} days.`);
}

const daysOption = () =>
  new Option("--days <n>", "How long it is good for.").argParser(validDays).default(DEFAULT_DAYS);
const hostOption = () =>
  new Option(
    "--host <name...>",
    "Names and addresses the server has beside localhost, 127.0.0.1, ::1 and the configured ones.",
  );

interface Options {
  readonly days: number;
  readonly host?: readonly string[];
  readonly name?: string;
  readonly out?: string;
  readonly operator?: boolean;
  readonly revokeOld?: boolean;
}

const optionsOf = ({ options }: Given): Options => options as unknown as Options;

async function openBook(session: Session): Promise<CertificateBook> {
  const [{ CertificateBook }, { certsFolder }, { systemClock }] = await Promise.all([
    import("#certs/book.ts"),
    import("#certs/folder.ts"),
    import("#base/clock.ts"),
  ]);
  return new CertificateBook({
    folder: certsFolder(await session.dataDir()),
    clock: systemClock,
  });
}

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

async function configuredHosts(session: Session): Promise<string[]> {
  const { config } = await session.loadConfig();
  const { host } = config.solo;
  return [...(WILDCARDS.has(host) ? [] : [host]), ...config.security.allowed_hosts];
}

async function show(session: Session, rows: readonly object[], columns: readonly string[]) {
  if (session.json) await session.out.json(rows);
  else await session.out.line(table({ rows: rows as Row[], columns, paint: session.paint }));
  return EXIT.OK;
}

const WRITTEN = ["name", "holder", "expires_at", "cert", "key"];

const init: CommandSpec = {
  name: "certs init",
  heading: "Setup:",
  summary: "Make a certificate authority, the server's and the operator's certificate.",
  description: `Make a certificate authority in <data_dir>/certs, with it the server's certificate, an
empty revocation list, and a certificate for the operator that this command line uses by
itself. With [security] tls = true the kernel then speaks TLS.`,
  options: [hostOption(), daysOption()],
  examples: ["solo certs init", "solo certs init --host solo.example 10.0.0.7"],
  async run(session, given) {
    const options = optionsOf(given);
    const hosts = [...(await configuredHosts(session)), ...(options.host ?? [])];
    const book = await openBook(session);
    return show(session, await book.init({ hosts, days: options.days }), WRITTEN);
  },
};

const issue: CommandSpec = {
  name: "certs issue",
  heading: "Setup:",
  summary: "Issue a client certificate for a tenant, or for an operator.",
  description: `Issue a client certificate for a tenant, or with --operator one that speaks for no tenant
in particular. It restricts to that tenant whoever shows it; what may be done is granted by
tokens. Give the client its two files and ca.pem.`,
  positional: "[tenant_id]",
  options: [
    new Option("--operator", "For an operator; instead of a tenant."),
    new Option("--name <name>", "The name of its files; the tenant's unless given."),
    new Option("--out <dir>", "Where to write them; <data_dir>/certs/clients unless given."),
    daysOption(),
  ],
  examples: ["solo certs issue acme --out ./for-acme", "solo certs issue --operator --name laptop"],
  async run(session, given) {
    const { operator, name, out, days } = optionsOf(given);
    const [tenant] = given.args;
    if ((tenant === undefined) === (operator !== true)) {
      throw new UsageError("Name one tenant, or give --operator.", "solo certs issue acme");
    }
    const holder: Holder = tenant === undefined ? { kind: "operator" } : { kind: "tenant", tenant };
    const dir = out === undefined ? undefined : session.path(out);
    const book = await openBook(session);
    return show(session, [await book.issue({ holder, name, dir, days })], WRITTEN);
  },
};

const renew: CommandSpec = {
  name: "certs renew",
  heading: "Setup:",
  summary: "Issue a certificate anew, with a new key, in the files of the old one.",
  description: `Issue a certificate anew, with a new key, in the files of the old one: the server's unless
one is named. A running kernel takes it over by itself. The old certificate is good until it
expires, unless it is revoked.`,
  positional: "[name]",
  options: [
    hostOption(),
    new Option("--revoke-old", "Revoke the valid ones of that name."),
    daysOption(),
  ],
  examples: ["solo certs renew", "solo certs renew acme --revoke-old"],
  async run(session, given) {
    const { days, host, revokeOld = false } = optionsOf(given);
    const [name] = given.args;
    const hosts = name === undefined ? await configuredHosts(session) : [];
    const book = await openBook(session);
    const { SERVER_NAME } = await import("#certs/folder.ts");
    const written = await book.renew({
      name: name ?? SERVER_NAME,
      days,
      hosts: [...hosts, ...(host ?? [])],
      revokeOld,
    });
    return show(session, [written], WRITTEN);
  },
};

const revoke: CommandSpec = {
  name: "certs revoke",
  heading: "Setup:",
  summary: "Revoke a client certificate, by serial number or all valid ones of a name.",
  description: `Revoke a client certificate, by serial number or all valid ones of a name. A running kernel
reads the revocation list within seconds, refuses the certificate and closes its connections.`,
  positional: "<name_or_serial>",
  examples: ["solo certs revoke acme"],
  async run(session, { args: [named = ""] }) {
    const revoked = await (await openBook(session)).revoke(named);
    return show(
      session,
      revoked.map((serial) => ({ serial, status: "revoked" })),
      ["serial", "status"],
    );
  },
};

const list: CommandSpec = {
  name: "certs list",
  heading: "Setup:",
  summary: "Every certificate issued: holder, expiry, and whether it is revoked.",
  examples: ["solo certs list --json"],
  async run(session) {
    const rows = await (await openBook(session)).list();
    return show(session, rows, ["name", "holder", "status", "expires_at", "serial"]);
  },
};

export const certs: readonly CommandSpec[] = [init, issue, renew, revoke, list];
