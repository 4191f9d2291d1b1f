/**
 * The certificates that Solo's own authority issued: made, listed, renewed, revoked.
 *
 * 1. A certificate is recorded before anybody can hold it, so that all of them can be revoked.
 * 2. A revocation is acknowledged once the list that the gateways read holds it; of several
 *    writers at once, the last one writes what all of them recorded.
 * 3. Renewing makes a new key; the old certificate stays good until it expires or is revoked.
 */
import { join, resolve } from "node:path";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { isName, NAME_RULE } from "#base/ids.ts";
import {
  type CertsFolder,
  OPERATOR_NAME,
  readIfThere,
  readRecords,
  SERVER_NAME,
  writeWhole,
  type Pair,
} from "#certs/folder.ts";
import type { Holder } from "#certs/holder.ts";
import type { Issuer, Minted, Revocation, Subject } from "#certs/mint.ts";

const OWN_HOSTS = ["localhost", "127.0.0.1", "::1"];
const NOT_CLIENTS: ReadonlySet<string> = new Set([SERVER_NAME, "ca"]);

type Status = "valid" | "expired" | "revoked";

/** What is kept of a certificate. */
interface Issued {
  readonly serial: string;
  readonly name: string;
  readonly use: { readonly server: readonly string[] } | { readonly client: Holder };
  readonly not_after: string;
  /** Where its files were written. */
  readonly files: Pair;
  readonly certificate: string;
}

type Known = Issued & { readonly status: Status };

export interface ListedCertificate {
  readonly name: string;
  /** A tenant's id, "operator", or "server". */
  readonly holder: string;
  readonly serial: string;
  readonly expires_at: string;
  readonly status: Status;
}

export interface WrittenCertificate {
  readonly name: string;
  readonly holder: string;
  readonly serial: string;
  readonly expires_at: string;
  readonly cert: string;
  readonly key: string;
}

export interface BookOptions {
  readonly folder: CertsFolder;
  readonly clock: Clock;
}

export class CertificateBook {
  readonly #folder: CertsFolder;
  readonly #clock: Clock;

  constructor({ folder, clock }: BookOptions) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** A new authority, the server's certificate, an empty list and the operator's certificate. */
  async init(options: {
    readonly hosts: readonly string[];
    readonly days: number;
  }): Promise<WrittenCertificate[]> {
    const folder = this.#folder;
    const hosts = [...new Set([...OWN_HOSTS, ...options.hosts.map(checkedHost)])];
    if ((await readIfThere(folder.ca.cert)) !== undefined) {
      throw new SoloError("already_exists", `There is an authority in ${folder.dir}.`, {
        hint: "Use it with `solo certs issue` and `solo certs renew`; move the folder away to start anew.",
      });
    }
    const { mintAuthority } = await import("#certs/mint.ts");
    const authority = await mintAuthority({ nowMs: this.#clock.wallMs() });
    await writeWhole(folder.ca.key, authority.key);
    const issuer = { cert: authority.cert, key: authority.key };
    await this.#writeCrl(issuer);
    const server = { name: SERVER_NAME, use: { server: hosts }, files: folder.server };
    const { days } = options;
    const written = [
      await this.#write({ ...server, days }, issuer),
      await this.#write({ ...this.#client(OPERATOR_NAME, { kind: "operator" }), days }, issuer),
    ];
    // Last: a folder without it was not finished, and init may run again.
    await writeWhole(folder.ca.cert, authority.cert);
    return written;
  }

  async issue(options: {
    readonly holder: Holder;
    /** The name of its files; the tenant's id unless given. */
    readonly name?: string | undefined;
    readonly dir?: string | undefined;
    readonly days: number;
  }): Promise<WrittenCertificate> {
    const { holder, days, dir } = options;
    if (holder.kind === "tenant") checkedName("tenant_id", holder.tenant);
    const name = checkedName("name", options.name ?? holderText({ client: holder }));
    const issuer = await this.#issuer();
    const living = (await this.#all()).filter((each) => each.name === name);
    if (NOT_CLIENTS.has(name) || living.some(({ status }) => status === "valid")) {
      throw new SoloError("already_exists", `There is a certificate named ${name}.`, {
        hint: `Renew it with \`solo certs renew ${name}\`, or choose another --name.`,
      });
    }
    return this.#write({ ...this.#client(name, holder, dir), days }, issuer);
  }

  async renew(options: {
    readonly name: string;
    readonly days: number;
    /** Of the server's certificate, beside those it has. */
    readonly hosts: readonly string[];
    readonly revokeOld: boolean;
  }): Promise<WrittenCertificate> {
    const { name, days, revokeOld } = options;
    const issuer = await this.#issuer();
    const old = (await this.#all()).filter((each) => each.name === name);
    const last = old.toSorted((a, b) => a.not_after.localeCompare(b.not_after)).at(-1);
    if (last === undefined) throw unknown(name);
    const hosts = options.hosts.map(checkedHost);
    const use =
      "server" in last.use ? { server: [...new Set([...last.use.server, ...hosts])] } : last.use;
    const written = await this.#write({ name, use, files: last.files, days }, issuer);
    if (revokeOld) await this.#revoke(old.filter(({ status }) => status === "valid"));
    return written;
  }

  /** By serial number, or every valid one of that name; their serial numbers. */
  async revoke(nameOrSerial: string): Promise<string[]> {
    const found = (await this.#all()).filter(
      ({ name, serial }) => name === nameOrSerial || serial === nameOrSerial.toLowerCase(),
    );
    if (found.length === 0) throw unknown(nameOrSerial);
    const clients = found.filter(({ use }) => "client" in use);
    if (clients.length === 0) {
      throw new SoloError("invalid_argument", "Clients do not ask whether a server is revoked.", {
        hint: `Replace it with \`solo certs renew ${SERVER_NAME}\`; if its key is known to others, start anew with another authority.`,
      });
    }
    const bySerial = clients.some(({ serial }) => serial === nameOrSerial.toLowerCase());
    const chosen = bySerial ? clients : clients.filter(({ status }) => status === "valid");
    // Also for what is revoked already: the list may not have been written.
    await this.#revoke(chosen);
    return chosen.map(({ serial }) => serial);
  }

  async list(): Promise<ListedCertificate[]> {
    const all = await this.#all();
    return all
      .map((each) => ({
        name: each.name,
        holder: holderText(each.use),
        serial: each.serial,
        expires_at: each.not_after,
        status: each.status,
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name) || a.expires_at.localeCompare(b.expires_at));
  }

  #client(name: string, holder: Holder, dir?: string) {
    const at = dir === undefined ? undefined : resolve(dir);
    return { name, use: { client: holder }, files: this.#folder.client(name, at) };
  }

  async #write(
    options: Pick<Issued, "name" | "use" | "files"> & { readonly days: number },
    issuer: Issuer,
  ): Promise<WrittenCertificate> {
    const { name, use, files, days } = options;
    const { mint } = await import("#certs/mint.ts");
    const commonName = "server" in use ? "solo" : holderText(use);
    const subject: Subject = { commonName, use, days, nowMs: this.#clock.wallMs() };
    const made: Minted = await mint(subject, issuer);
    const not_after = new Date(made.notAfterMs).toISOString();
    const { serial, cert: certificate } = made;
    const record: Issued = { serial, name, use, not_after, files, certificate };
    await writeWhole(join(this.#folder.issued, `${serial}.json`), `${JSON.stringify(record)}\n`);
    await writeWhole(files.key, made.key);
    await writeWhole(files.cert, certificate);
    return { name, holder: holderText(use), serial, expires_at: not_after, ...files };
  }

  async #revoke(certificates: readonly Known[]): Promise<void> {
    const issuer = await this.#issuer();
    const at = new Date(this.#clock.wallMs()).toISOString();
    for (const { serial, status } of certificates) {
      if (status === "revoked") continue;
      const record: Revocation = { serial, at };
      await writeWhole(join(this.#folder.revoked, `${serial}.json`), `${JSON.stringify(record)}\n`);
    }
    await this.#writeCrl(issuer);
  }

  async #writeCrl(issuer: Issuer): Promise<void> {
    const { mintCrl } = await import("#certs/mint.ts");
    const recorded = () => readRecords<Revocation>(this.#folder.revoked);
    let written: number;
    let now = await recorded();
    do {
      written = now.length;
      const crl = await mintCrl(now, { issuer, nowMs: this.#clock.wallMs() });
      await writeWhole(this.#folder.crl, crl);
      now = await recorded();
    } while (now.length !== written);
  }

  async #all(): Promise<Known[]> {
    const revocations = await readRecords<Revocation>(this.#folder.revoked);
    const revoked = new Set(revocations.map(({ serial }) => serial));
    const now = this.#clock.wallMs();
    const issued = await readRecords<Issued>(this.#folder.issued);
    return issued.map((each) => {
      const living = Date.parse(each.not_after) > now ? "valid" : "expired";
      return { ...each, status: revoked.has(each.serial) ? "revoked" : living };
    });
  }

  async #issuer(): Promise<Issuer> {
    const { ca, dir } = this.#folder;
    const [cert, key] = await Promise.all([readIfThere(ca.cert), readIfThere(ca.key)]);
    if (cert !== undefined && key !== undefined) return { cert, key };
    throw new SoloError("not_found", `There is no certificate authority in ${dir}.`, {
      hint: "Make one with `solo certs init`.",
    });
  }
}

const holderText = (use: Issued["use"]): string => {
  if ("server" in use) return SERVER_NAME;
  return use.client.kind === "operator" ? OPERATOR_NAME : use.client.tenant;
};

const unknown = (name: string): SoloError =>
  new SoloError("not_found", `There is no certificate ${name}.`, {
    hint: "See `solo certs list` for names and serial numbers.",
  });

function refuse(field: string, message: string): never {
  throw new SoloError("invalid_argument", `${field} ${message}.`, { fields: [{ field, message }] });
}

function checkedName(field: string, name: string): string {
  return isName(name) ? name : refuse(field, NAME_RULE);
}

const HOST =
  /^(?=.{1,253}$)(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** `example.org:8080` and `[::1]:8080` lose their port: certificates know none. */
function checkedHost(text: string): string {
  const host = text.replace(/^\[([^\]]+)\](:\d+)?$/, "$1").replace(/^([^:]+):\d+$/, "$1");
  const address = /^[0-9a-f:.]+$/i.test(host) && host.includes(":");
  return address || HOST.test(host) ? host : refuse("host", `"${host.slice(0, 60)}" is no host`);
}
