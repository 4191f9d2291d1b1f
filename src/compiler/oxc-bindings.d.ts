/** What oxc-parser's own wrapper is made of; the package exports it without types. */
declare module "oxc-parser/src-js/bindings" {
  import type { ParseResult, ParserOptions } from "oxc-parser";

  export function parseSync(
    filename: string,
    sourceText: string,
    options: ParserOptions,
  ): Omit<ParseResult, "program"> & {
    /** JSON: `{node, fixes}`; the fixes are paths to literals whose value JSON cannot hold. */
    readonly program: string;
  };
}
