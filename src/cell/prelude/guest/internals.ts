/** Small objects that bundled packages look for in their surroundings. */
import { platform } from "./platform.ts";

export const ignore = (): void => {};

/**
 * What event-target-shim takes for the global object: without Event and EventTarget,
 * so that its classes do not become children of themselves.
 */
export const window = {
  get DOMException(): unknown {
    return platform["DOMException"];
  },
};
