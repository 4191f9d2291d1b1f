/**
 * Where the kernel is and with which token to talk to it.
 *
 * 1. What is named (`url`, SOLO_URL) goes before what `<data_dir>/kernel.json` says.
 * 2. The owner's token found in the data directory is only ever sent to a loopback
 *    address; for any other the token must be named (`tokenFile`, SOLO_TOKEN).
 * 3. For https, files that are named go before the data directory's own authority and the
 *    operator's certificate, which are for loopback addresses only.
 */
import { readFile as readFileFromDisk } from "node:fs/promises";
import { join } from "node:path";
import { SoloError } from "#base/errors.ts";
import type { ClientTls } from "#client/tls-fetch.ts";

export interface FindKernelOptions {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly url?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** Files for https, before SOLO_CA, SOLO_CERT and SOLO_KEY. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly readFile?: (path: string) => Promise<string>;
}

export interface FoundKernel {
  readonly url: string;
  readonly token?: string;
  readonly tls?: ClientTls;
}

type ReadFile = NonNullable<FindKernelOptions["readFile"]>;

const readText: ReadFile = (path) => readFileFromDisk(path, "utf8");

async function readIfThere(readFile: ReadFile, path: string): Promise<string | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new SoloError("permission_denied", `${path} cannot be read (${String(code)}).`, {
      hint: "Run as the user who started the kernel, or set SOLO_URL and SOLO_TOKEN.",
      cause,
    });
  }
}

async function urlFromDataDir(readFile: ReadFile, dataDir: string): Promise<string> {
  const path = join(dataDir, "kernel.json");
  const text = await readIfThere(readFile, path);
  if (text === undefined) {
    throw new SoloError("kernel_unreachable", `No kernel runs on ${dataDir}.`, {
      hint: "Start one with `solo start`, or say where it is with --data-dir or SOLO_URL.",
    });
  }
  try {
    const { http } = JSON.parse(text) as { http?: unknown };
    if (typeof http === "string") return http;
  } catch {
    // Falls through to the refusal: unreadable and incomplete are the same to the reader.
  }
  throw new SoloError("kernel_unreachable", `${path} does not name a kernel's address.`, {
    hint: "Start the kernel again, or set SOLO_URL.",
  });
}

function isLoopback(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? "";
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The owner's token of a data directory, if there is one. */
export async function readOwnerToken(
  dataDir: string,
  readFile: ReadFile = readText,
): Promise<string | undefined> {
  return (await readIfThere(readFile, join(dataDir, "owner-token")))?.trim() || undefined;
}

async function findToken(options: FindKernelOptions, url: string): Promise<string | undefined> {
  const { dataDir, env, tokenFile, readFile = readText } = options;
  if (tokenFile !== undefined) {
    const text = await readIfThere(readFile, tokenFile);
    if (text !== undefined) return text.trim();
    throw new SoloError("invalid_argument", `The token file ${tokenFile} is not there.`);
  }
  if (env["SOLO_TOKEN"]) return env["SOLO_TOKEN"].trim();
  return isLoopback(url) ? readOwnerToken(dataDir, readFile) : undefined;
}

export async function findKernel(options: FindKernelOptions): Promise<FoundKernel> {
  const { dataDir, env, readFile = readText } = options;
  const url = options.url ?? (env["SOLO_URL"] || (await urlFromDataDir(readFile, dataDir)));
  const token = await findToken(options, url);
  const tls = url.startsWith("https:") ? await findTls(options, url) : undefined;
  return { url, ...(token !== undefined && { token }), ...(tls !== undefined && { tls }) };
}

/** Undefined when there is nothing of our own: the system's authorities decide. */
async function findTls(options: FindKernelOptions, url: string): Promise<ClientTls | undefined> {
  const { dataDir, env, readFile = readText } = options;
  const named = {
    ca: options.ca ?? env["SOLO_CA"],
    cert: options.cert ?? env["SOLO_CERT"],
    key: options.key ?? env["SOLO_KEY"],
  };
  const own = isLoopback(url) ? join(dataDir, "certs") : undefined;
  const read = async (path: string | undefined, fallback: string) => {
    if (!path) return own && readIfThere(readFile, join(own, fallback));
    const text = await readIfThere(readFile, path);
    if (text !== undefined) return text;
    throw new SoloError("invalid_argument", `The file ${path} is not there.`);
  };
  const client = named.cert || named.key ? undefined : own;
  const [ca, cert, key] = await Promise.all([
    read(named.ca, "ca.pem"),
    client || named.cert ? read(named.cert, "clients/operator.pem") : undefined,
    client || named.key ? read(named.key, "clients/operator.key") : undefined,
  ]);
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}
