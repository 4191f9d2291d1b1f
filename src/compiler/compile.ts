/**
 * TypeScript and JavaScript to modules an isolate can load, with findings a model can act on.
 *
 * 1. Types are stripped, not checked: a type error does not keep a service from running.
 * 2. Every import is followed here, so that a missing file is found before anything starts.
 */
import { parseSync } from "oxc-parser";
import { transformSync, type OxcError } from "oxc-transform";
import type { Diagnostic } from "#base/errors.ts";
import { importRefusal, resolveModule, SDK_SPECIFIER } from "#wire/modules.ts";
import type { CompileRequest, CompileResult, CompiledModule } from "#wire/compiler.ts";
import { placeOf } from "#compiler/position.ts";

const MAX_DIAGNOSTICS = 20;

export function compile({ files, entry }: CompileRequest): CompileResult {
  const diagnostics: Diagnostic[] = [];
  const modules: CompiledModule[] = [];
  const paths = new Set(Object.keys(files));
  for (const [path, source] of Object.entries(files)) {
    if (diagnostics.length >= MAX_DIAGNOSTICS) break;
    if (path.endsWith(".json")) modules.push(jsonModule(path, source, diagnostics));
    else modules.push(scriptModule(path, source, paths, path === entry, diagnostics));
  }
  const failed = diagnostics.some((finding) => finding.severity === "error");
  return { modules: failed ? [] : modules, diagnostics: diagnostics.slice(0, MAX_DIAGNOSTICS) };
}

function jsonModule(path: string, source: string, diagnostics: Diagnostic[]): CompiledModule {
  try {
    JSON.parse(source);
  } catch (error) {
    const offset = Number(/position (\d+)/.exec(String(error))?.[1] ?? 0);
    diagnostics.push({
      code: "json_syntax",
      severity: "error",
      message: String((error as Error).message),
      file: path,
      ...placeOf(source, offset),
      explanation: "A .json file that is imported must be valid JSON.",
    });
  }
  // JSON is a subset of ECMAScript since ES2019.
  return { path, code: `export default ${source};`, map: "" };
}

function scriptModule(
  path: string,
  source: string,
  paths: ReadonlySet<string>,
  isEntry: boolean,
  diagnostics: Diagnostic[],
): CompiledModule {
  const lang = /\.m?ts$/.test(path) ? "ts" : "js";
  const output = transformSync(path, source, { lang, sourceType: "module", sourcemap: true });
  if (output.errors.length > 0) {
    for (const error of output.errors) diagnostics.push(syntaxFinding(path, source, error));
    return { path, code: "", map: "" };
  }
  const { module } = parseSync(path, source, { lang, sourceType: "module" });
  // Imports of types only are gone from the output; only what is left must be found.
  const kept = new Set(
    parseSync("out.js", output.code, { sourceType: "module" }).module.staticImports.map(
      (each) => each.moduleRequest.value,
    ),
  );
  const requests = [
    ...module.staticImports.map((each) => each.moduleRequest),
    ...module.staticExports.flatMap((each) =>
      each.entries.flatMap((entry) => entry.moduleRequest ?? []),
    ),
  ];
  for (const { value, start } of requests) {
    const reExported = !module.staticImports.some((each) => each.moduleRequest.start === start);
    if (value === SDK_SPECIFIER || (!reExported && !kept.has(value))) continue;
    if (resolveModule(value, path, paths) !== undefined) continue;
    diagnostics.push({
      code: "unresolved_import",
      severity: "error",
      message: `Cannot find "${value}".`,
      file: path,
      ...placeOf(source, start),
      explanation: importRefusal(value, path),
    });
  }
  if (isEntry && !exportsDefault(module)) {
    diagnostics.push({
      code: "no_default_export",
      severity: "error",
      message: "The entry module has no default export.",
      file: path,
      ...placeOf(source, Math.max(0, source.trimEnd().length - 1)),
      explanation: /\bmodule\.exports\b/.test(source)
        ? "This looks like CommonJS. A service is an ES module whose default export is the service."
        : "A service is the default export of its entry module.",
      fix: "Add: export default defineService({ calls: { … } }); or export default { fetch(request) { … } };",
    });
  }
  const map = output.map === undefined || output.map === null ? "" : JSON.stringify(output.map);
  return { path, code: output.code, map };
}

const exportsDefault = (module: ReturnType<typeof parseSync>["module"]): boolean =>
  module.staticExports.some((each) =>
    each.entries.some(
      ({ exportName }) =>
        exportName.kind === "Default" ||
        (exportName.kind === "Name" && exportName.name === "default"),
    ),
  );

function syntaxFinding(path: string, source: string, error: OxcError): Diagnostic {
  const offset = error.labels[0]?.start ?? 0;
  const label = error.labels[0]?.message;
  return {
    code: "syntax",
    severity: "error",
    message: label ? `${error.message}: ${label}` : error.message,
    file: path,
    ...placeOf(source, offset),
    explanation: "The source does not parse, so nothing can be started from it.",
    ...(error.helpMessage !== null && { fix: error.helpMessage }),
  };
}
