/**
 * `fetch`, as a request to the host. The network is the host's to grant: a refusal
 * is the standard's network error, a TypeError, with the host's reason as its cause.
 */
import { fromInnerResponse, makeResponse } from "undici/lib/web/fetch/response.js";
import { HeadersList } from "undici/lib/web/fetch/headers.js";
import { extractBody } from "undici/lib/web/fetch/body.js";
import type { FetchAnswer, FetchRequest } from "../host.ts";
import { toBase64 } from "./base64.ts";
import { host, platform } from "./platform.ts";

/** In base64 this is near the longest line that a guest can say. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;

async function describe(request: Request): Promise<FetchRequest> {
  const bytes = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
  if (bytes !== null && bytes.length > MAX_BODY_BYTES) {
    throw new RangeError(`The body has ${bytes.length} bytes; ${MAX_BODY_BYTES} can be sent.`);
  }
  const body = bytes === null ? null : toBase64(bytes);
  const { url, method, redirect } = request;
  return { url, method, redirect, headers: [...request.headers], body };
}

function toResponse(answer: FetchAnswer, requested: string): Response {
  const headersList = new HeadersList();
  for (const [name, value] of answer.headers ?? []) headersList.append(name, value, false);
  const urls =
    answer.redirected === true ? [requested, answer.url ?? requested] : [answer.url ?? requested];
  const body = answer.body ?? null;
  return fromInnerResponse(
    makeResponse({
      status: answer.status,
      statusText: answer.statusText ?? "",
      headersList,
      urlList: urls.map((url) => new platform["URL"](url)),
      body: body === null ? null : extractBody(body)[0],
    }),
    "immutable",
  );
}

export async function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request: Request = new platform["Request"](input, init);
  const { signal } = request;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    const url = request.url;
    const answer = await Promise.race([
      describe(request).then((description) => host.request("fetch", description, signal)),
      aborted.promise,
    ]);
    return toResponse(answer as FetchAnswer, url);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new TypeError("fetch failed", { cause });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
