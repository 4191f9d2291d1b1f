/**
 * A client's upload as the service reads it.
 *
 * 1. Nothing is read from the socket before the service asks.
 * 2. A client that stays silent for `idleMs` while the service waits is cut off; time in
 *    which the service does not ask is not held against it.
 * 3. Leaving early does not break the connection: the answer still has to go out.
 */
import type { IncomingMessage } from "node:http";
import { SoloError } from "#base/errors.ts";
import { clientGone } from "#gateway/rest/client.ts";

/** `undefined` for a request without a body. */
export function uploadOf(
  request: IncomingMessage,
  idleMs: number,
): AsyncIterable<Uint8Array> | undefined {
  const { headers } = request;
  const length = headers["content-length"];
  const empty =
    headers["transfer-encoding"] === undefined && (length === undefined || length === "0");
  return empty ? undefined : chunksOf(request, idleMs);
}

async function* chunksOf(
  request: IncomingMessage,
  idleMs: number,
): AsyncGenerator<Uint8Array, void, void> {
  const silent = () =>
    request.destroy(
      new SoloError("deadline_exceeded", `The client sent nothing for ${idleMs} ms.`),
    );
  let timer = setTimeout(silent, idleMs);
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      clearTimeout(timer);
      yield chunk as Uint8Array;
      timer = setTimeout(silent, idleMs);
    }
  } catch (thrown) {
    throw thrown instanceof SoloError ? thrown : clientGone();
  } finally {
    clearTimeout(timer);
  }
}
