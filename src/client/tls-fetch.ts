/** fetch with an authority and a certificate of the caller's own. */
import { SoloError } from "#base/errors.ts";

/** PEM texts. */
export interface ClientTls {
  /** The authorities to accept instead of the system's. */
  readonly ca?: string;
  /** What the client shows of itself; both or none. */
  readonly cert?: string;
  readonly key?: string;
}

export function tlsFetch({ ca, cert, key }: ClientTls): typeof globalThis.fetch {
  if ((cert === undefined) !== (key === undefined)) {
    throw new SoloError(
      "invalid_argument",
      "A client certificate needs its key, and a key its certificate.",
    );
  }
  const connect = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  };
  const open = async () => {
    const { Agent, fetch } = await import("undici");
    return { fetch, dispatcher: new Agent({ connect }) };
  };
  // Loaded for the first request: most clients never need it.
  let opened: ReturnType<typeof open> | undefined;
  return async (input, init) => {
    const { fetch, dispatcher } = await (opened ??= open());
    // The same fetch as the global one, by other type names.
    const response: unknown = await fetch(input, { ...(init as object), dispatcher });
    return response as Response;
  };
}
