/**
 * Events: event-target-shim, made as strict about arguments as the standard is, plus
 * CustomEvent, which it does not bring.
 */
import * as shim from "event-target-shim";
import { platform } from "./platform.ts";

export const { getEventAttributeValue, setEventAttributeValue } = shim;

// What a listener throws is reported, and never reaches whoever dispatches.
shim.setErrorHandler((error) => platform["reportError"](error));
// It warns of calls that the standard lets pass in silence.
shim.setWarningHandler(() => {});

export class Event extends shim.Event<string> {
  constructor(type: string, options?: object) {
    if (arguments.length === 0)
      throw new TypeError("Failed to construct 'Event': 1 argument is required");
    super(String(type), options);
  }

  get [Symbol.toStringTag](): string {
    return "Event";
  }
}

interface CustomEventOptions {
  readonly detail?: unknown;
}

export class CustomEvent extends Event {
  readonly #detail: unknown;

  constructor(type: string, options?: CustomEventOptions) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }

  override get [Symbol.toStringTag](): string {
    return "CustomEvent";
  }
}

export class EventTarget extends shim.EventTarget {
  override dispatchEvent(event: shim.Event): boolean {
    if (!(event instanceof Event)) {
      throw new TypeError("Failed to execute 'dispatchEvent': the argument is not an Event");
    }
    return super.dispatchEvent(event);
  }

  get [Symbol.toStringTag](): string {
    return "EventTarget";
  }
}
