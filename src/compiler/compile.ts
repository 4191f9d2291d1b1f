/**
 * TypeScript and JavaScript to modules an isolate can load, with findings a model can act on.
 *
 * 1. Types are stripped, not checked: a type error does not keep a service from running.
 * 2. Every import is followed here, so that one that leads nowhere is found before anything
 *    starts.
 */
import type { ParseResult } from "oxc-parser";
import { transformSync, type OxcError } from "oxc-transform";
import type { Diagnostic } from "#base/errors.ts";
import { importRefusal, resolveModule, SDK_SPECIFIER } from "#wire/modules.ts";
import type { Analysis, CompileRequest, CompileResult, CompiledModule } from "#wire/compiler.ts";
import { Parsed } from "#compiler/parse.ts";
import { Analyser } from "#compiler/analysis/analyse.ts";
import { dynamicImportFindings } from "#compiler/dynamic-imports.ts";
import { placeOf } from "#compiler/position.ts";

const MAX_DIAGNOSTICS = 20;

export function compile({ files, entry, analyse = false }: CompileRequest): CompileResult {
  const diagnostics: Diagnostic[] = [];
  const refused: Diagnostic[] = [];
  const modules: CompiledModule[] = [];
  const analyser = analyse ? new Analyser() : undefined;
  const paths = new Set(Object.keys(files));
  for (const [path, source] of Object.entries(files)) {
    if (diagnostics.length >= MAX_DIAGNOSTICS) break;
    if (path.endsWith(".json")) modules.push(jsonModule(path, source, diagnostics));
    else {
      const script = { path, source, lang: langOf(path), isEntry: path === entry };
      modules.push(scriptModule(script, { paths, diagnostics, refused, analyser }));
    }
  }
  const failed = diagnostics.some((finding) => finding.severity === "error");
  return {
    modules: failed ? [] : modules,
    diagnostics: diagnostics.slice(0, MAX_DIAGNOSTICS),
    ...(refused.length > 0 && { refused: refused.slice(0, MAX_DIAGNOSTICS) }),
    ...(analyser !== undefined && { analysis: besides(analyser.result(), refused) }),
  };
}

const langOf = (path: string): Script["lang"] => (/\.m?ts$/.test(path) ? "ts" : "js");

function jsonModule(path: string, source: string, diagnostics: Diagnostic[]): CompiledModule {
  try {
    JSON.parse(source);
  } catch (error) {
    const { message } = error as SyntaxError;
    const ended = message.startsWith("Unexpected end");
    const offset = ended ? source.length : Number(/position (\d+)/.exec(message)?.[1] ?? 0);
    diagnostics.push({
      code: "json_syntax",
      severity: "error",
      message,
      file: path,
      ...placeOf(source, offset),
      explanation: "A .json file that is imported must be valid JSON.",
    });
  }
  // As text, because in a literal a key `__proto__` would set the prototype.
  return { path, code: `export default JSON.parse(${JSON.stringify(source)});`, map: "" };
}

interface Script {
  readonly path: string;
  readonly source: string;
  readonly lang: "ts" | "js";
  readonly isEntry: boolean;
}

interface Surroundings {
  readonly paths: ReadonlySet<string>;
  readonly diagnostics: Diagnostic[];
  readonly refused: Diagnostic[];
  readonly analyser: Analyser | undefined;
}

function scriptModule(
  script: Script,
  { paths, diagnostics, refused, analyser }: Surroundings,
): CompiledModule {
  const { path, source, lang, isEntry } = script;
  const output = transformSync(path, source, { lang, sourceType: "module", sourcemap: true });
  if (output.errors.length > 0) {
    for (const error of output.errors) diagnostics.push(syntaxFinding(script, error));
    return { path, code: "", map: "" };
  }
  const parsed = new Parsed(path, source, { lang, sourceType: "module" });
  analyser?.look({ path, source, parsed, isEntry });
  const isMissing = ({ value }: { readonly value: string }) =>
    value !== SDK_SPECIFIER && !resolveModule(value, path, paths);
  let { module } = parsed;
  if (requestsOf(module).some(isMissing) || (isEntry && !exportsDefaultValue(parsed))) {
    // What counts is the output: imports and exports of types only are gone from it.
    ({ module } = new Parsed(path, output.code, { lang: "js", sourceType: "module" }));
    const missing = requestsOf(module).filter(isMissing);
    if (missing.length > 0) {
      const values = new Set(missing.map(({ value }) => value));
      diagnostics.push(...unresolvedFindings(script, parsed.module, values));
    }
    if (isEntry && !exportsDefault(module)) diagnostics.push(noDefaultFinding(script));
  }
  if (module.dynamicImports.length > 0)
    refused.push(...dynamicImportFindings(script, parsed, paths));
  const map = output.map === undefined || output.map === null ? "" : JSON.stringify(output.map);
  return { path, code: output.code, map };
}

/** `export default` of something that is there at run time. */
const exportsDefaultValue = ({ program }: Parsed): boolean =>
  program.body.some(
    (statement) =>
      statement.type === "ExportDefaultDeclaration" &&
      statement.declaration.type !== "TSInterfaceDeclaration" &&
      statement.declaration.type !== "Identifier",
  );

type ModuleRecord = ParseResult["module"];

const requestsOf = ({ staticImports, staticExports }: ModuleRecord) => [
  ...staticImports.map((each) => each.moduleRequest),
  ...staticExports.flatMap(({ entries }) => entries.flatMap((each) => each.moduleRequest ?? [])),
];

const exportsDefault = (module: ModuleRecord): boolean =>
  module.staticExports.some(({ entries }) =>
    entries.some(
      ({ exportName: { kind, name } }) =>
        kind === "Default" || (kind === "Name" && name === "default"),
    ),
  );

/** The requests for these modules, where they stand in the source. */
function unresolvedFindings(
  { path, source }: Script,
  module: ModuleRecord,
  missing: ReadonlySet<string>,
): Diagnostic[] {
  const seen = new Set<number>();
  const findings: Diagnostic[] = [];
  for (const { value, start, end } of requestsOf(module)) {
    // `export { a, b } from "…"` asks twice at one place.
    if (!missing.has(value) || seen.has(start)) continue;
    seen.add(start);
    findings.push({
      code: "unresolved_import",
      severity: "error",
      message: `Cannot find "${value}".`,
      file: path,
      ...placeOf(source, start, end),
      explanation: importRefusal(value, path),
    });
  }
  return findings;
}

/** Without what is refused already. */
const besides = (analysis: Analysis, refused: readonly Diagnostic[]): Analysis => ({
  ...analysis,
  findings: analysis.findings.filter(
    ({ code, file, line, column }) =>
      !refused.some(
        (each) =>
          each.code === code && each.file === file && each.line === line && each.column === column,
      ),
  ),
});

function noDefaultFinding({ path, source }: Script): Diagnostic {
  return {
    code: "no_default_export",
    severity: "error",
    message: "The entry module has no default export.",
    file: path,
    ...placeOf(source, Math.max(0, source.trimEnd().length - 1)),
    explanation: /\bmodule\.exports\b/.test(source)
      ? "This looks like CommonJS. A service is an ES module whose default export is the service."
      : "A service is the default export of its entry module.",
    fix: "Add: export default defineService({ calls: { … } }); or export default { fetch(request) { … } };",
  };
}

function syntaxFinding({ path, source }: Script, error: OxcError): Diagnostic {
  // The transformer counts bytes of UTF-8 here, unlike the parser.
  const bytes = error.labels[0]?.start ?? 0;
  const text = Buffer.from(source);
  const start = text.toString("utf8", 0, bytes).length;
  const end = text.toString("utf8", 0, error.labels[0]?.end ?? bytes).length;
  const label = error.labels[0]?.message;
  return {
    code: "syntax",
    severity: "error",
    message: label ? `${error.message}: ${label}` : error.message,
    file: path,
    ...placeOf(source, start, end),
    explanation: "The source does not parse, so nothing can be started from it.",
    ...(error.helpMessage !== null && { fix: error.helpMessage }),
  };
}
