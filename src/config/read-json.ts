/** A JSON file (comments allowed) as settings, each with its line and column. */
import {
  getNodeValue,
  parseTree,
  printParseErrorCode,
  type Node,
  type ParseError,
} from "jsonc-parser";
import type { FileText, ReadResult } from "#config/read-toml.ts";
import type { Setting, Source } from "#config/setting.ts";

export function readJson({ file, text }: FileText): ReadResult {
  const sourceAt = (offset: number): Source => {
    const before = text.slice(0, offset).split("\n");
    return { layer: "file", file, line: before.length, column: (before.at(-1) ?? "").length + 1 };
  };
  const failed = (offset: number, message: string): ReadResult => ({
    settings: [],
    problems: [{ path: "", source: sourceAt(offset), message }],
  });

  function members(object: Node, under: readonly string[]): Setting[] {
    return (object.children ?? []).flatMap((property) => {
      const [key, value] = property.children ?? [];
      if (key === undefined || value === undefined) return [];
      const path = [...under, String(key.value)];
      return value.type === "object"
        ? [{ path, value: {}, source: sourceAt(key.offset) }, ...members(value, path)]
        : [{ path, value: getNodeValue(value), source: sourceAt(value.offset) }];
    });
  }

  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error) return failed(error.offset, `not valid JSON: ${printParseErrorCode(error.error)}`);
  if (root?.type !== "object") return failed(0, "expected a JSON object of sections");
  return { settings: members(root, []), problems: [] };
}
