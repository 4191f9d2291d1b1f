/**
 * From a deploy's source to modules that can be started, and what there is to say about it.
 *
 * 1. What was accepted once starts again whatever the rules say by then.
 * 2. Analysis runs only for tenants whose level asks for it.
 * 3. What was compiled for a tenant is remembered for that tenant only: its compiler may have
 *    been taken over by its source.
 */
import { SoloError, type Diagnostic } from "#base/errors.ts";
import type { CompileCache, Compiled } from "#deploy/compile-cache.ts";
import { sourceHash, type ServiceSpec } from "#deploy/spec.ts";
import {
  analysisError,
  findingsAt,
  type AnalysisLevel,
  type Declared,
} from "#kernel/deploys/analysis-level.ts";
import type { CompilerPool } from "#kernel/compilers/pool.ts";
import type { Allowed, CompileResult } from "#wire/compiler.ts";

export interface SourcesOptions {
  readonly compilers: CompilerPool;
  readonly cache: CompileCache;
  readonly level: (tenant: string) => AnalysisLevel;
}

export interface Accepted {
  readonly compiled: Compiled;
  readonly warnings: readonly Diagnostic[];
}

export interface Judged {
  /** Of the compiler first, then of the rules. */
  readonly findings: readonly Diagnostic[];
  readonly allowed: readonly Allowed[];
}

export class Sources {
  readonly #options: SourcesOptions;

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Of a new deploy or update. Throws `compile_failed` or `analysis_refused`. */
  async accept(spec: ServiceSpec, tenant: string): Promise<Accepted> {
    const { cache, level } = this.#options;
    const analysis = level(tenant);
    // Hardly any was compiled before: looking on the disk would cost more than compiling.
    const known = cache.recall(keyOf(spec, tenant));
    const usable =
      known !== undefined && (analysis === "off" || known.result.analysis !== undefined);
    const compiled = usable ? known : await this.#compile(spec, tenant, analysis !== "off");
    const { result } = compiled;
    const warnings = findingsAt(analysis, result.analysis?.findings ?? [], declaredBy(spec));
    const refusal = compileError(complaintsOf(result)) ?? analysisError(warnings);
    if (refusal !== undefined) throw refusal;
    return { compiled, warnings };
  }

  /** What was compiled is on disk for the next kernel. */
  close(): Promise<void> {
    return this.#options.cache.close();
  }

  /** Of a service that was accepted before. */
  async recorded(spec: ServiceSpec, tenant: string): Promise<Compiled> {
    const known = await this.#options.cache.load(keyOf(spec, tenant));
    const compiled = known ?? (await this.#compile(spec, tenant, false));
    const refusal = compileError(compiled.result.diagnostics);
    if (refusal !== undefined) throw refusal;
    return compiled;
  }

  /** Everything there is to say, with nothing refused. */
  async judge(spec: ServiceSpec, tenant: string): Promise<Judged> {
    const { compilers, level } = this.#options;
    const analysis = level(tenant);
    const { files, entry } = spec;
    const result = await compilers.compile(tenant, { files, entry, analyse: analysis !== "off" });
    const found = findingsAt(analysis, result.analysis?.findings ?? [], declaredBy(spec));
    return {
      findings: [...complaintsOf(result), ...found],
      allowed: result.analysis?.allowed ?? [],
    };
  }

  async #compile(spec: ServiceSpec, tenant: string, analyse: boolean): Promise<Compiled> {
    const { cache, compilers } = this.#options;
    const { files, entry } = spec;
    const result = await compilers.compile(tenant, { files, entry, analyse });
    if (result.modules.length > 0) return cache.save(keyOf(spec, tenant), result);
    return { result, stored: Promise.resolve(false) };
  }
}

const keyOf = (spec: ServiceSpec, tenant: string): string => `${tenant}:${sourceHash(spec)}`;

const complaintsOf = ({ diagnostics, refused = [] }: CompileResult): Diagnostic[] => [
  ...diagnostics,
  ...refused,
];

/** Undefined when no finding is an error. */
function compileError(diagnostics: readonly Diagnostic[]): SoloError | undefined {
  const first = diagnostics.find(({ severity }) => severity === "error");
  if (first === undefined) return undefined;
  const { code, file, line, column, message, fix, explanation } = first;
  // What the grammar wanted says more than that it does not parse.
  const why = code === "syntax" ? undefined : explanation;
  return new SoloError("compile_failed", `${file}:${line}:${column}: ${message}`, {
    diagnostics,
    hint: fix ?? why ?? "Correct the source at the places in `diagnostics` and deploy again.",
  });
}

/** What the deploy asks to be given, as resources. */
function declaredBy({ capabilities, secrets = [] }: ServiceSpec): Declared {
  const named = secrets.map((secret) => `secret:${secret.as}`);
  const held = capabilities?.flatMap(({ resources }) => resources);
  return held === undefined
    ? { services: true, resources: named }
    : { services: false, resources: [...held, ...named] };
}
