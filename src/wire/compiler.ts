/** What the kernel asks the compiler process, and what it answers. Payloads are JSON. */
import type { Diagnostic } from "#base/errors.ts";

export const TO_COMPILER = { compile: 1, mapStack: 2 } as const;
export const FROM_COMPILER = { ready: 1, result: 2 } as const;

export interface CompileRequest {
  /** Source by relative path. */
  readonly files: Readonly<Record<string, string>>;
  readonly entry: string;
}

export interface CompiledModule {
  readonly path: string;
  readonly code: string;
  /** A source map (version 3) as JSON text; empty when the code is as it was written. */
  readonly map: string;
}

export interface CompileResult {
  readonly modules: readonly CompiledModule[];
  /** Any error among them means that there are no modules. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface MapStackRequest {
  readonly stack: string;
  readonly maps: Readonly<Record<string, string>>;
}
