/**
 * `fetch`, as a request to the host. The network is the host's to grant: a refusal
 * is the standard's network error, a TypeError, with the host's reason as its cause.
 */
import { fromInnerResponse, makeResponse } from "undici/lib/web/fetch/response.js";
import { HeadersList } from "undici/lib/web/fetch/headers.js";
import { extractBody } from "undici/lib/web/fetch/body.js";
import type { FetchAnswer, FetchRequest } from "../host.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { host, platform } from "./platform.ts";

async function describe(request: Request): Promise<FetchRequest> {
  const body = request.body === null ? null : toBase64(new Uint8Array(await request.arrayBuffer()));
  const { url, method, redirect } = request;
  return { url, method, redirect, headers: [...request.headers], body };
}

function toResponse(answer: FetchAnswer, requested: string): Response {
  const headersList = new HeadersList();
  for (const [name, value] of answer.headers ?? []) headersList.append(name, value, false);
  const urls =
    answer.redirected === true ? [requested, answer.url ?? requested] : [answer.url ?? requested];
  const bytes = answer.body === undefined || answer.body === null ? null : fromBase64(answer.body);
  return fromInnerResponse(
    makeResponse({
      status: answer.status,
      statusText: answer.statusText ?? "",
      headersList,
      urlList: urls.map((url) => new platform["URL"](url)),
      body: bytes === null ? null : extractBody(bytes)[0],
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
      describe(request).then((description) => host.request("fetch", description)),
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
