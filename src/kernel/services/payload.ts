/** A call or cast as it travels to an instance: `["name",[…arguments]]`. */
import { SoloError } from "#base/errors.ts";

const MAX_MESSAGE_CHARS = 8 * 1024 * 1024;

export function messagePayload(name: string, args: readonly unknown[]): string {
  const payload = JSON.stringify([name, args]);
  if (payload.length <= MAX_MESSAGE_CHARS) return payload;
  throw new SoloError(
    "payload_too_large",
    `The arguments have ${payload.length} characters of JSON; at most ${MAX_MESSAGE_CHARS} are passed on.`,
  );
}
