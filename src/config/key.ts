/** How a setting is declared: its check, its default, and what it says about itself. */
import { z } from "zod";

/** What a key says about itself besides its zod type. */
export interface KeyMeta {
  readonly description: string;
  /** How a wrong value is answered: "expected <this>". */
  readonly expected: string;
  /** How text from the environment or a flag is read. */
  readonly kind: "whole" | "boolean" | "text" | "list";
  /** May change while the kernel runs. */
  readonly runtime: boolean;
  /** For a key whose default follows another key. */
  readonly derivedDefault?: string;
}

interface About<T> {
  readonly is: string;
  readonly default: T;
  readonly runtime?: boolean;
}

const meta = (
  about: { is: string; runtime?: boolean },
  rest: Omit<KeyMeta, "description" | "runtime">,
) => ({
  description: about.is,
  runtime: about.runtime ?? false,
  ...rest,
});

export const whole = (min: number, max: number, about: About<number>) =>
  z
    .int()
    .min(min)
    .max(max)
    .default(about.default)
    .meta(meta(about, { kind: "whole", expected: `a whole number from ${min} to ${max}` }));

export const boolean = (about: About<boolean>) =>
  z
    .boolean()
    .default(about.default)
    .meta(meta(about, { kind: "boolean", expected: "true or false" }));

export const text = (about: About<string>) =>
  z
    .string()
    .min(1)
    .default(about.default)
    .meta(meta(about, { kind: "text", expected: "text that is not empty" }));

export const choice = <const T extends readonly [string, ...string[]]>(
  values: T,
  about: About<T[number]>,
) =>
  z
    .enum(values)
    .default(about.default as never)
    .meta(
      meta(about, {
        kind: "text",
        expected: `one of ${values.map((value) => `"${value}"`).join(", ")}`,
      }),
    );

export const derivedPath = (about: { is: string; from: string }) =>
  z
    .string()
    .min(1)
    .optional()
    .meta(
      meta(about, {
        kind: "text",
        expected: "text that is not empty",
        derivedDefault: about.from,
      }),
    );

export const port = (about: About<number>) => whole(0, 65_535, about);
