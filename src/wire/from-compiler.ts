/**
 * Reading what the compiler says: it has read hostile source, and may be taken over by it.
 *
 * 1. A reader answers with what it promises, about the files that were asked about, or throws.
 */
import type { Diagnostic } from "#base/errors.ts";
import { parseBounded } from "#base/bounded-json.ts";
import type {
  Allowed,
  Analysis,
  CompileRequest,
  CompileResult,
  CompiledModule,
  Finding,
  Need,
} from "#wire/compiler.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Either no modules, or one for each file. */
export function readCompileResult(text: string, { files }: CompileRequest): CompileResult {
  const { modules, diagnostics, refused, analysis } = object(parseBounded(text));
  const compiled = list(modules).map((each) => moduleFrom(object(each)));
  const paths = new Set(compiled.map(({ path }) => path));
  must(compiled.length === 0 || paths.size === Object.keys(files).length);
  must(compiled.length === paths.size && [...paths].every((path) => Object.hasOwn(files, path)));
  return {
    modules: compiled,
    diagnostics: list(diagnostics).map((each) => diagnosticFrom(object(each))),
    ...(refused !== undefined && {
      refused: list(refused).map((each) => diagnosticFrom(object(each))),
    }),
    ...(analysis !== undefined && { analysis: analysisFrom(object(analysis)) }),
  };
}

export function readMappedStack(text: string): string {
  return string(object(parseBounded(text))["stack"]);
}

const moduleFrom = ({ path, code, map }: Fields): CompiledModule => ({
  path: string(path),
  code: string(code),
  map: string(map),
});

function diagnosticFrom(found: Fields): Diagnostic {
  const { severity, end_line, end_column, fix } = found;
  must(severity === "error" || severity === "warning");
  return {
    code: string(found["code"]),
    severity,
    message: string(found["message"]),
    file: string(found["file"]),
    line: place(found["line"]),
    column: place(found["column"]),
    ...(end_line !== undefined && { end_line: place(end_line) }),
    ...(end_column !== undefined && { end_column: place(end_column) }),
    excerpt: string(found["excerpt"]),
    explanation: string(found["explanation"]),
    ...(fix !== undefined && { fix: string(fix) }),
  };
}

const analysisFrom = ({ findings, allowed }: Fields): Analysis => ({
  findings: list(findings).map((each) => findingFrom(object(each))),
  allowed: list(allowed).map((each) => allowedFrom(object(each))),
});

function findingFrom(found: Fields): Finding {
  const { needs } = found;
  return {
    ...diagnosticFrom(found),
    ...(needs !== undefined && { needs: needFrom(object(needs)) }),
  };
}

function needFrom({ kind, name }: Fields): Need {
  must(kind === "net" || kind === "secret" || kind === "service");
  return { kind, name: string(name) };
}

const allowedFrom = ({ code, file, line, reason }: Fields): Allowed => ({
  code: string(code),
  file: string(file),
  line: place(line),
  reason: string(reason),
});

function object(value: unknown): Fields {
  must(typeof value === "object" && value !== null);
  return value as Fields;
}

function list(value: unknown): readonly unknown[] {
  must(Array.isArray(value));
  return value;
}

function string(value: unknown): string {
  must(typeof value === "string");
  return value;
}

/** A line or column. */
function place(value: unknown): number {
  must(Number.isSafeInteger(value) && Number(value) >= 0);
  return Number(value);
}

function must(condition: boolean): asserts condition {
  if (!condition) throw new TypeError("A message of the compiler is not of its kind.");
}
