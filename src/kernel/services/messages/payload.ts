/** Messages as they travel to an instance: JSON text that the kernel does not read again. */
import { SoloError } from "#base/errors.ts";
import type { FetchHead } from "#wire/messages.ts";

const MAX_MESSAGE_CHARS = 8 * 1024 * 1024;

/** A call or cast: `["name",[…arguments]]`. */
export function messagePayload(name: string, args: readonly unknown[]): string {
  const payload = JSON.stringify([name, args]);
  if (payload.length <= MAX_MESSAGE_CHARS) return payload;
  throw new SoloError(
    "payload_too_large",
    `The arguments have ${payload.length} characters of JSON; at most ${MAX_MESSAGE_CHARS} are passed on.`,
  );
}

export const fetchPayload = ({ method, url, headers, body }: FetchHead): string =>
  JSON.stringify({ method, url, headers, body } satisfies FetchHead);
