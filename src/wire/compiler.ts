/** What the kernel asks the compiler process, and what it answers. Payloads are JSON. */
import type { Diagnostic } from "#base/errors.ts";

export const TO_COMPILER = { compile: 1, mapStack: 2 } as const;
export const FROM_COMPILER = { ready: 1, result: 2 } as const;

export interface CompileRequest {
  /** Source by relative path. */
  readonly files: Readonly<Record<string, string>>;
  readonly entry: string;
  /** Whether the rules look at it, too. */
  readonly analyse?: boolean;
}

export interface CompiledModule {
  readonly path: string;
  readonly code: string;
  /** A source map (version 3) as JSON text; empty when the code is as it was written. */
  readonly map: string;
}

/** What a service has to be given for this part of it to work. */
export interface Need {
  readonly kind: "net" | "secret" | "service";
  /** `host` or `host:port`, or a name. */
  readonly name: string;
}

/** What a rule found; its severity is the rule's, whatever a deploy makes of it. */
export interface Finding extends Diagnostic {
  readonly needs?: Need;
}

/** A finding that a comment in the source allows. */
export interface Allowed {
  readonly code: string;
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface Analysis {
  readonly findings: readonly Finding[];
  readonly allowed: readonly Allowed[];
}

export interface CompileResult {
  readonly modules: readonly CompiledModule[];
  /** Any error among them means that there are no modules. */
  readonly diagnostics: readonly Diagnostic[];
  /** What keeps a new deploy from being taken although it compiles; none: nothing does. */
  readonly refused?: readonly Diagnostic[];
  /** When it was asked for. */
  readonly analysis?: Analysis;
}

export interface MapStackRequest {
  readonly stack: string;
  readonly maps: Readonly<Record<string, string>>;
}
