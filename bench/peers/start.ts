/** Starts a peer's process; it says its port when it listens. */
import type { Endpoint } from "../load/http-connection.ts";
import { nextMessage, startProcess, type Started } from "../processes.ts";

const READY_MS = 10_000;

export interface Peer extends AsyncDisposable {
  readonly at: Endpoint;
  readonly process: Started;
}

export async function startPeer(module: string, ...args: string[]): Promise<Peer> {
  const process = startProcess({ module: `peers/${module}`, args });
  const port = await nextMessage<number>(process, { ms: READY_MS, what: module });
  return { at: { host: "127.0.0.1", port }, process, [Symbol.asyncDispose]: () => process.stop() };
}
