/** High Resolution Time, coarse: whole milliseconds, as the host gives them. */
import { host, platform } from "./platform.ts";

const originMs = host.now();
const timeOriginMs = Date.now();

export class Performance extends (platform["EventTarget"] as typeof EventTarget) {
  get timeOrigin(): number {
    return timeOriginMs;
  }

  now(): number {
    return host.now() - originMs;
  }

  toJSON(): { timeOrigin: number } {
    return { timeOrigin: timeOriginMs };
  }

  get [Symbol.toStringTag](): string {
    return "Performance";
  }
}

export const performance = new Performance();
