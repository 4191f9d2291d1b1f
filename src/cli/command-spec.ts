/** A command of `solo` as data; the table of them all is commands.ts. */
import type { Option } from "commander";
import type { Session } from "#cli/session.ts";

export type Heading =
  | "Kernel:"
  | "Services:"
  | "Tenants:"
  | "Authority:"
  | "Secrets:"
  | "Events:"
  | "Setup:";

/** What was typed: positional arguments in order, options by their camelCase names. */
export interface Given {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

export interface CommandSpec {
  /** Two words for a command below another: "config check". */
  readonly name: string;
  readonly heading: Heading;
  readonly summary: string;
  readonly description?: string | undefined;
  /** In commander's notation: "<id> [args...]". */
  readonly positional?: string;
  readonly options?: readonly Option[];
  /** Whole command lines. */
  readonly examples?: readonly string[];
  /** The exit code. */
  readonly run: (session: Session, given: Given) => Promise<number>;
}
