/**
 * Word that a call is still under way, for a client that asked for it with a progress token: it
 * may put off its own deadline for each. How far an operation is nobody knows, so it is the time.
 */
import type { ServerContext } from "@modelcontextprotocol/server";

export function progressOf({ mcpReq }: ServerContext, everyMs: number): Disposable {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return { [Symbol.dispose]: () => {} };
  let seconds = 0;
  const beat = setInterval(() => {
    seconds += everyMs / 1000;
    const params = { progressToken, progress: seconds, message: `Under way for ${seconds} s.` };
    // A client that is gone is told to the operation by the signal.
    mcpReq.notify({ method: "notifications/progress", params }).catch(() => {});
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(beat) };
}
