/** A TOML file as settings, each with its line and column. */
import { getStaticTOMLValue, ParseError, parseTOML, type AST } from "toml-eslint-parser";
import type { Problem, Setting, Source } from "#config/setting.ts";

export interface FileText {
  /** As the user named it; messages repeat it. */
  readonly file: string;
  readonly text: string;
}
export interface ReadResult {
  readonly settings: readonly Setting[];
  readonly problems: readonly Problem[];
}

export function readToml({ file, text }: FileText): ReadResult {
  const sourceAt = (node: AST.TOMLNode): Source => ({
    layer: "file",
    file,
    line: node.loc.start.line,
    column: node.loc.start.column + 1,
  });
  const keyNames = (key: AST.TOMLKey): string[] =>
    key.keys.map((part) => (part.type === "TOMLBare" ? part.name : part.value));

  function pair(node: AST.TOMLKeyValue, under: readonly string[]): Setting[] {
    const path = [...under, ...keyNames(node.key)];
    if (node.value.type === "TOMLInlineTable") {
      const table = { path, value: {}, source: sourceAt(node.key) };
      return [table, ...node.value.body.flatMap((each) => pair(each, path))];
    }
    return [{ path, value: getStaticTOMLValue(node.value), source: sourceAt(node.value) }];
  }

  function entry(node: AST.TOMLKeyValue | AST.TOMLTable): Setting[] {
    if (node.type === "TOMLKeyValue") return pair(node, []);
    const path = keyNames(node.key);
    // [[array of tables]] is never a section of ours: shown as the list it is.
    const value = node.kind === "array" ? [] : {};
    const source = sourceAt(node.key);
    return [{ path, value, source }, ...node.body.flatMap((each) => pair(each, path))];
  }

  try {
    const program = parseTOML(text, { tomlVersion: "1.0.0" });
    return { settings: program.body[0].body.flatMap(entry), problems: [] };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const { lineNumber: line, column } = error;
    const source: Source = { layer: "file", file, line, column: column + 1 };
    return {
      settings: [],
      problems: [{ path: "", source, message: `not valid TOML: ${error.message}` }],
    };
  }
}
