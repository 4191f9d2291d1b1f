/**
 * Timers over the host's clock, and queueMicrotask.
 *
 * 1. Callbacks run in later turns, in the order of their due times; the host keeps that.
 * 2. A callback's exception is the host's to report: it leaves through `run` unchanged.
 */
import { host } from "./platform.ts";

type Callback = (...args: unknown[]) => void;

/** The largest delay of the HTML standard: a longer one wraps to 0 there, and to 1 here as in Node. */
const MAX_DELAY_MS = 2 ** 31 - 1;

const resolved = Promise.resolve();
const { then } = Promise.prototype;
const { apply } = Reflect;

function toDelayMs(delay: unknown): number {
  const ms = Math.trunc(Number(delay));
  return ms >= 1 && ms <= MAX_DELAY_MS ? ms : ms > MAX_DELAY_MS ? 1 : 0;
}

function checkCallback(name: string, callback: unknown): asserts callback is Callback {
  if (typeof callback !== "function") {
    throw new TypeError(`${name}: the callback must be a function, not ${typeof callback}`);
  }
}

function start(callback: Callback, delay: unknown, repeat: boolean, args: unknown[]): number {
  return host.setTimer(toDelayMs(delay), repeat, () => apply(callback, undefined, args));
}

function stop(id: unknown): void {
  const number = Number(id);
  if (number > 0) host.clearTimer(number);
}

export function setTimeout(callback: Callback, delay?: number, ...args: unknown[]): number {
  checkCallback("setTimeout", callback);
  return start(callback, delay, false, args);
}

export function setInterval(callback: Callback, delay?: number, ...args: unknown[]): number {
  checkCallback("setInterval", callback);
  return start(callback, delay, true, args);
}

export function clearTimeout(id?: number): void {
  stop(id);
}

export function clearInterval(id?: number): void {
  stop(id);
}

export function queueMicrotask(callback: () => void): void {
  checkCallback("queueMicrotask", callback);
  void apply(then, resolved, [() => callback()]);
}
