/** Events: event-target-shim, plus CustomEvent, which it does not bring. */
import {
  Event,
  EventTarget,
  getEventAttributeValue,
  setErrorHandler,
  setEventAttributeValue,
  setWarningHandler,
} from "event-target-shim";
import { platform } from "./platform.ts";

// What a listener throws is reported, and never reaches whoever dispatches.
setErrorHandler((error) => platform["reportError"](error));
// It warns of calls that the standard lets pass in silence.
setWarningHandler(() => {});

interface CustomEventOptions extends EventInit {
  readonly detail?: unknown;
}

export class CustomEvent extends Event<string> {
  readonly #detail: unknown;

  constructor(type: string, options: CustomEventOptions = {}) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }

  get [Symbol.toStringTag](): string {
    return "CustomEvent";
  }
}

for (const [constructor, tag] of [
  [Event, "Event"],
  [EventTarget, "EventTarget"],
] as const) {
  Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: tag, configurable: true });
}

export { Event, EventTarget, getEventAttributeValue, setEventAttributeValue };
