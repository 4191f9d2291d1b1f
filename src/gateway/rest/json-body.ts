/**
 * JSON bodies of operations.
 *
 * 1. At most `bodyBytes`, within `bodyTimeoutMs`, nested at most `jsonDepth` deep; measured
 *    before it is parsed.
 * 2. A body that does not parse is refused with the line and column where it stops, unless it
 *    is long.
 * 3. A name that is given twice is refused with its path.
 * 4. A key `__proto__` is refused with its path: no copy of the input can change a prototype.
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { parseBounded, repeatedName } from "#base/bounded-json.ts";
import { SoloError } from "#base/errors.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import { clientGone } from "#gateway/rest/client.ts";

/** The parser that says where a text stops is too slow for longer ones. */
const MAX_EXPLAINED_CHARS = 256 * 1024;

/** `undefined` for an empty body. */
export async function readJson(request: IncomingMessage, limits: RestLimits): Promise<unknown> {
  refuseEncoded(request.headers);
  const bytes = await readAll(request, limits);
  return bytes.length === 0 ? undefined : parseJson(bytes, limits.jsonDepth);
}

/** The bytes must be the text itself, in UTF-8. */
function refuseEncoded(headers: IncomingMessage["headers"]): void {
  const encoding = headers["content-encoding"] ?? "identity";
  const charset = /;\s*charset="?([^\s;"]*)/i.exec(headers["content-type"] ?? "")?.[1] ?? "utf-8";
  const odd = [
    ...(encoding.toLowerCase() === "identity" ? [] : [`content-encoding ${encoding}`]),
    ...(/^utf-?8$/i.test(charset) ? [] : [`charset ${charset}`]),
  ];
  if (odd.length === 0) return;
  throw new SoloError("unsupported_media_type", `A body with ${odd.join(" and ")} is not read.`, {
    hint: "Send JSON in UTF-8, not compressed.",
  });
}

function readAll(request: IncomingMessage, limits: RestLimits): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  if (Number(request.headers["content-length"]) > limits.bodyBytes) {
    return Promise.reject(tooLarge(limits.bodyBytes));
  }
  const chunks: Buffer[] = [];
  let length = 0;
  const late = setTimeout(() => end(tooSlow(limits.bodyTimeoutMs)), limits.bodyTimeoutMs);
  const onData = (chunk: Buffer) => {
    length += chunk.length;
    if (length > limits.bodyBytes) end(tooLarge(limits.bodyBytes));
    else chunks.push(chunk);
  };
  const onEnd = () => end();
  const onError = () => end(clientGone());
  const end = (error?: SoloError) => {
    clearTimeout(late);
    request.off("data", onData).off("end", onEnd).off("error", onError);
    if (error === undefined) {
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length));
      return;
    }
    // What still comes is of no interest, and must not surface as an unhandled error.
    request.on("error", () => {}).pause();
    reject(error);
  };
  request.on("data", onData).on("end", onEnd).on("error", onError);
  return promise;
}

const tooLarge = (bytes: number): SoloError =>
  new SoloError("payload_too_large", `The body is larger than ${bytes} bytes.`, {
    hint: "Send less at once; a service takes large uploads through its fetch, under /s/.",
  });

const tooSlow = (ms: number): SoloError =>
  new SoloError("deadline_exceeded", `The body did not arrive within ${ms} ms.`);

export function parseJson(bytes: Buffer, maxDepth: number): unknown {
  if (!isUtf8(bytes)) throw malformed("the bytes are not UTF-8");
  const text = bytes.toString("utf8");
  let value: unknown;
  try {
    value = parseBounded(text);
  } catch (error) {
    if (error instanceof SoloError) throw error;
    throw malformed(text.length <= MAX_EXPLAINED_CHARS ? whereItStops(text) : "it does not parse");
  }
  refuseUnsafe(value, maxDepth, []);
  const twice = repeatedName(text);
  if (twice !== undefined) throw unsafe([twice], "is given twice");
  return value;
}

const malformed = (why: string): SoloError =>
  new SoloError("invalid_argument", `The body is not JSON: ${why}.`, {
    fields: [{ field: "body", message: why }],
    hint: "Send one JSON value in UTF-8, without comments or trailing commas.",
  });

function whereItStops(text: string): string {
  const errors: ParseError[] = [];
  parse(text, errors, {
    disallowComments: true,
    allowTrailingComma: false,
    allowEmptyContent: false,
  });
  const [first] = errors;
  if (first === undefined) return "it does not parse";
  const before = text.slice(0, first.offset);
  const line = before.split("\n").length;
  const column = first.offset - before.lastIndexOf("\n");
  const what = printParseErrorCode(first.error)
    .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toLowerCase();
  return `${what} at line ${line}, column ${column}`;
}

/** `path` leads to `value`, and does again afterwards. */
function refuseUnsafe(value: unknown, depth: number, path: (string | number)[]): void {
  if (typeof value !== "object" || value === null) return;
  if (depth === 0) throw unsafe(path, "is nested too deeply");
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      path.push(i);
      refuseUnsafe(value[i], depth - 1, path);
      path.pop();
    }
    return;
  }
  for (const key of Object.keys(value)) {
    path.push(key);
    if (key === "__proto__") throw unsafe(path, "is not an allowed key");
    refuseUnsafe((value as Record<string, unknown>)[key], depth - 1, path);
    path.pop();
  }
}

function unsafe(path: readonly (string | number)[], message: string): SoloError {
  const field = path.join(".");
  return new SoloError("invalid_argument", `${field} ${message}.`, {
    fields: [{ field, message }],
  });
}
