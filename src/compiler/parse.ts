/**
 * Parsing, without what the parser's own wrapper does next.
 *
 * 1. Nothing of the source is built here. The wrapper makes every regular expression and every
 *    big integer that it finds: a few hundred kilobytes of either are seconds of V8's time, and
 *    no rule wants them. Their `value` stays null.
 */
import type { ParseResult, ParserOptions } from "oxc-parser";
import { parseSync } from "oxc-parser/src-js/bindings";

type Program = ParseResult["program"];

/** The fields of a parser's result are handed out once; each is read when it is wanted. */
export class Parsed {
  readonly #raw: ReturnType<typeof parseSync>;
  #program: Program | undefined;
  #module: ParseResult["module"] | undefined;
  #comments: ParseResult["comments"] | undefined;

  constructor(path: string, source: string, options: ParserOptions) {
    this.#raw = parseSync(path, source, options);
  }

  get program(): Program {
    return (this.#program ??= (JSON.parse(this.#raw.program) as { node: Program }).node);
  }

  get module(): ParseResult["module"] {
    return (this.#module ??= this.#raw.module);
  }

  get comments(): ParseResult["comments"] {
    return (this.#comments ??= this.#raw.comments);
  }
}
