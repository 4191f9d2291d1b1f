/**
 * `solo secrets set`, `rotate`, `get` and `revoke`.
 *
 * 1. Neither a value nor a key is ever an argument: other users of the machine can read those,
 *    and shells keep them.
 * 2. A value is read from standard input, or asked for without an echo; `get` prints it to
 *    standard output and nowhere else.
 */
import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { Option } from "commander";
import type { OutputOf } from "#api/catalogue.ts";
import { EXIT } from "#base/errors.ts";
import { operations } from "#client/operations.ts";
import type { CommandSpec, Given } from "#cli/command-spec.ts";
import { printAnswer } from "#cli/print.ts";
import { printable } from "#cli/render/format.ts";
import type { Session } from "#cli/session.ts";
import { UsageError } from "#cli/usage-error.ts";
import { integer } from "#cli/values.ts";

/** A little more than the vault takes: the kernel's refusal says what it does take. */
const MAX_INPUT_BYTES = 256 * 1024;

interface Flags {
  readonly exact?: boolean;
  readonly keyFile?: string;
  readonly askKey?: boolean;
  readonly secretVersion?: number;
}

/** `--version` is the program's. */
const versionOption = (text: string): Option =>
  new Option("--secret-version <n>", text).argParser(integer);

const versionFrom = ({ secretVersion }: Flags) =>
  secretVersion === undefined ? {} : { version: secretVersion };

const keyOptions = [
  new Option(
    "--key-file <file>",
    "A file with a key of your own: text, or 32 bytes. Without it the value cannot be read again.",
  ),
  new Option("--ask-key", "Ask for a key of your own, without an echo."),
];

const exactOption = new Option(
  "--exact",
  "Keep every byte of standard input; else one line ending at its end is left off.",
);

const SOURCE = `The value comes from standard input; on a terminal it is asked for without an echo.
It is never an argument: other users can read those, and shells keep them.`;

async function ask(session: Session, what: string): Promise<string> {
  const { askHidden } = session.powers;
  if (askHidden === undefined) {
    throw new UsageError(`${what} cannot be asked for: standard input is no terminal.`);
  }
  return askHidden(`${what}: `);
}

async function readStdin(session: Session): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of session.powers.stdin) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    length += bytes.length;
    if (length > MAX_INPUT_BYTES) throw new UsageError("Standard input holds more than a secret.");
  }
  return Buffer.concat(chunks);
}

function withoutLineEnding(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

async function readValue(session: Session, name: string, flags: Flags) {
  const { askHidden } = session.powers;
  const bytes =
    askHidden === undefined ? await readStdin(session) : Buffer.from(await ask(session, name));
  const value = flags.exact === true ? bytes : withoutLineEnding(bytes);
  if (value.length === 0)
    throw new UsageError("The value is empty.", "Pipe it in: solo secrets set NAME < file");
  return isUtf8(value) ? { value: value.toString() } : { value_base64: value.toString("base64") };
}

async function readKey(session: Session, { keyFile, askKey }: Flags) {
  if (askKey === true) return { key: await ask(session, "Key") };
  if (keyFile === undefined) return {};
  const bytes = await readFile(session.path(keyFile)).catch((cause: unknown) => {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new UsageError(`${keyFile} cannot be read (${code}).`);
  });
  const key = withoutLineEnding(bytes);
  return isUtf8(key) ? { key: key.toString() } : { key_base64: bytes.toString("base64") };
}

function nameFrom({ args }: Given): string {
  const [name = "", ...more] = args;
  if (more.length === 0) return name;
  throw new UsageError(
    "A value is never an argument: other users can read it there, and the shell keeps it.",
    `Consider this one known. Pipe the value in, or type it when asked: solo secrets set ${name}`,
  );
}

function writing(word: "set" | "rotate", examples: readonly string[]): CommandSpec {
  const operation = word === "set" ? "StoreSecret" : "RotateSecret";
  return {
    name: `secrets ${word}`,
    heading: "Secrets:",
    summary: operations[operation].summary,
    description: `${operations[operation].summary}\n\n${SOURCE}`,
    positional: "<name> [value...]",
    options: [exactOption, ...keyOptions],
    examples,
    async run(session, given) {
      const flags: Flags = given.options;
      const name = nameFrom(given);
      const client = await session.client();
      const key = await readKey(session, flags);
      const input = { name, ...(await readValue(session, name, flags)), ...key };
      const answer =
        word === "set"
          ? await client.storeSecret(input, session.request)
          : await client.rotateSecret(input, session.request);
      return printAnswer(session, operation, answer);
    },
  };
}

export const setSecret = writing("set", [
  "solo secrets set stripe_key < key.txt",
  "openssl rand -base64 32 | solo secrets set session_key",
  "solo secrets set stripe_key --ask-key",
]);
export const rotateSecret = writing("rotate", ["solo secrets rotate stripe_key < key.txt"]);

async function printValue(session: Session, answer: OutputOf<"RetrieveSecret">): Promise<number> {
  const { value, value_base64 } = answer;
  if (session.json) await session.out.json(answer);
  else if (value === undefined) await session.out.write(Buffer.from(value_base64 ?? "", "base64"));
  else if (session.powers.isTTY) await session.out.line(printable(value));
  else await session.out.write(value);
  return EXIT.OK;
}

export const getSecret: CommandSpec = {
  name: "secrets get",
  heading: "Secrets:",
  summary: operations.RetrieveSecret.summary,
  description: `${operations.RetrieveSecret.summary}

It is printed to standard output as it is, with a line ending only on a terminal.
Each reading is in the audit trail.`,
  positional: "<name>",
  options: [versionOption("The latest unless given."), ...keyOptions],
  examples: [
    "solo secrets get stripe_key | pbcopy",
    "solo secrets get stripe_key --secret-version 1",
  ],
  async run(session, given) {
    const flags: Flags = given.options;
    const [name = ""] = given.args;
    const client = await session.client();
    const input = { name, ...versionFrom(flags) };
    const key = await readKey(session, flags);
    const answer =
      "key" in key || "key_base64" in key
        ? await client.retrieveSecretWithKey({ ...input, ...key }, session.request)
        : await client.retrieveSecret(input, session.request);
    return printValue(session, answer);
  },
};

export const revokeSecret: CommandSpec = {
  name: "secrets revoke",
  heading: "Secrets:",
  summary: operations.RevokeSecret.summary,
  positional: "<name>",
  options: [versionOption("Only this one; all of them unless given.")],
  examples: ["solo secrets revoke stripe_key", "solo secrets revoke stripe_key --secret-version 1"],
  async run(session, given) {
    const [name = ""] = given.args;
    const client = await session.client();
    const input = { name, ...versionFrom(given.options) };
    return printAnswer(session, "RevokeSecret", await client.revokeSecret(input, session.request));
  },
};
