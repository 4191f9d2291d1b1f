/**
 * Puts the platform in place: for the prelude itself, and on globalThis. Until its
 * first touch a global is an accessor; from then on it is what the standards say:
 * writable, configurable, not enumerable.
 */
import type { Load } from "./parts.ts";
import { platform } from "./platform.ts";

const { defineProperty } = Object;

export function provide(name: string, load: Load): void {
  defineProperty(platform, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = load(name);
      if (value !== undefined) defineProperty(platform, name, { value });
      return value;
    },
  });
}

export function settle(name: string, value: unknown): void {
  defineProperty(globalThis, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

export function installLazily(name: string): void {
  defineProperty(globalThis, name, {
    configurable: true,
    enumerable: false,
    get() {
      const value: unknown = platform[name];
      if (value !== undefined) settle(name, value);
      return value;
    },
    set(value: unknown) {
      settle(name, value);
    },
  });
}
