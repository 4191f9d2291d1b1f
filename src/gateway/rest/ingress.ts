/**
 * HTTP to a service's own `fetch`: `ANY /s/{tenant}/{service}/…` (SPEC G2).
 *
 * 1. Bodies stream both ways; neither side is read faster than the other side takes it.
 * 2. The client's going aborts the service's signal and ends the reading of its upload.
 * 3. A body that the service breaks off destroys the connection: what arrived is never
 *    mistaken for a whole answer. A body longer or shorter than its declared length
 *    does the same.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { IngressResponse, KernelPort } from "#api/kernel-port.ts";
import { SoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { abortWhenGone, cutOffUnread, drained } from "#gateway/rest/client.ts";
import type { Scheme } from "#gateway/rest/front-door.ts";
import { answerHead, forwarded, type Forwarded } from "#gateway/rest/ingress-headers.ts";
import { INGRESS_PREFIX, ingressTarget, type IngressTarget } from "#gateway/rest/ingress-target.ts";
import type { RestLimits } from "#gateway/rest/limits.ts";
import { reported, writeProblem } from "#gateway/rest/problem.ts";
import { uploadOf } from "#gateway/rest/upload.ts";
import { heldTo, peerOf } from "#gateway/tls/peer.ts";

export { INGRESS_PREFIX };

export interface IngressOptions {
  readonly kernel: KernelPort;
  readonly log: Logger;
  readonly limits: RestLimits;
  readonly isSoloToken: (token: string) => boolean;
}

/** Never throws: every outcome is written to the response. */
export async function serveIngress(
  request: IncomingMessage,
  response: ServerResponse,
  options: IngressOptions,
): Promise<void> {
  const { kernel, log, limits } = options;
  const controller = new AbortController();
  abortWhenGone(response, controller);
  try {
    const target = ingressTarget(request.url ?? "");
    const { headers, credentials } = headersFor(request, target, options);
    const answer = await kernel.ingress(
      {
        tenant: target.tenant,
        service: target.service,
        method: request.method ?? "GET",
        url: `${schemeOf(request)}://${request.headers.host}${target.path}`,
        headers,
        body: uploadOf(request, limits.uploadIdleMs),
      },
      {
        credentials: { ...credentials, ...heldTo(peerOf(request.socket)) },
        signal: controller.signal,
      },
    );
    await write(answer, { response, controller, stallMs: limits.stallMs });
  } catch (thrown) {
    writeProblem(response, reported(thrown, log));
  }
}

const schemeOf = ({ socket }: IncomingMessage): Scheme =>
  "encrypted" in socket ? "https" : "http";

const headersFor = (
  request: IncomingMessage,
  target: IngressTarget,
  options: IngressOptions,
): Forwarded =>
  forwarded({
    rawHeaders: request.rawHeaders,
    connection: request.headers.connection,
    clientAddress: request.socket.remoteAddress ?? "unknown",
    host: request.headers.host ?? "",
    scheme: schemeOf(request),
    prefix: target.prefix,
    isSoloToken: options.isSoloToken,
  });

const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

interface Writing {
  readonly response: ServerResponse;
  readonly controller: AbortController;
  readonly stallMs: number;
}

async function write(
  answer: IngressResponse,
  { response, controller, stallMs }: Writing,
): Promise<void> {
  const isHead = response.req.method === "HEAD";
  const body = isHead || BODYLESS.has(answer.status) ? undefined : answer.body;
  try {
    writeAnswerHead(answer, response, { hasBody: body !== undefined, isHead });
  } catch (thrown) {
    controller.abort(unwanted());
    throw thrown;
  }
  if (body === undefined) {
    if (answer.body !== undefined) controller.abort(unwanted());
    response.end();
    return;
  }
  // A body that starts late must not hold its headers back.
  const flush = setImmediate(() => response.flushHeaders());
  try {
    for await (const chunk of body) {
      clearImmediate(flush);
      if (response.destroyed) return;
      if (chunk.length > 0 && !response.write(chunk)) await drained(response, stallMs);
    }
    response.end();
    cutOffUnread(response, stallMs);
  } catch (thrown) {
    throw wrongLength(thrown) ?? thrown;
  } finally {
    clearImmediate(flush);
  }
}

const wrongLength = (thrown: unknown): SoloError | undefined =>
  (thrown as NodeJS.ErrnoException).code === "ERR_HTTP_CONTENT_LENGTH_MISMATCH"
    ? new SoloError("service_error", "The body is not as long as the service said.")
    : undefined;

const unwanted = (): SoloError => new SoloError("cancelled", "The body is not wanted.");

function writeAnswerHead(
  answer: IngressResponse,
  response: ServerResponse,
  { hasBody, isHead }: { readonly hasBody: boolean; readonly isHead: boolean },
): void {
  const { headers, contentLength } = answerHead(answer.headers);
  if (hasBody || isHead) {
    if (contentLength !== undefined) headers.push("content-length", String(contentLength));
  } else if (!BODYLESS.has(answer.status)) {
    headers.push("content-length", "0");
  }
  response.strictContentLength = hasBody;
  try {
    if (answer.status < 200 || answer.status > 599) throw new RangeError("not a final status");
    response.writeHead(answer.status, headers);
  } catch (cause) {
    throw new SoloError(
      "service_error",
      "The service answered with a status or headers that HTTP does not allow.",
      {
        hint: "Answer with a status from 200 to 599 and headers of printable characters.",
        cause,
      },
    );
  }
}
