/** Streams: web-streams-polyfill, shown on the console without its internals. */
import * as streams from "web-streams-polyfill";
import { platform } from "./platform.ts";

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

for (const name of ["ReadableStream", "WritableStream"] as const) {
  Object.defineProperty(streams[name].prototype, INSPECT, {
    configurable: true,
    value(this: { readonly locked: boolean; readonly _state: string }) {
      const { locked, _state: state } = this;
      return `${name} ${platform["formatter"].inspect({ locked, state })}`;
    },
  });
}

export * from "web-streams-polyfill";
