import { SoloError } from "#base/errors.ts";

/** What is answered while the store behind the event log or the service logs is away. */
export const noStore = (): SoloError =>
  new SoloError("unavailable", "The store is not there at the moment.", {
    hint: "It is restarted by itself; try again.",
    retryAfterMs: 100,
  });
