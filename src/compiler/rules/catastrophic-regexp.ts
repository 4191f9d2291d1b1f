/** Regular expressions that a short text can keep busy for years. */
import { textOf, type Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule, Span } from "#compiler/analysis/rule.ts";
import { ambiguousLoop } from "#compiler/regexp/ambiguity.ts";

export const catastrophicRegexp: Rule = {
  code: "catastrophic_regexp",
  title: "A regular expression with exponential backtracking",
  severity: "error",
  explanation:
    "A repeated part can match the same text in several ways, and something after it can fail: for a text that nearly matches, all ways are tried, twice as many for each further character. The turn ends at its deadline.",
  fix: "Make the parts of the repetition begin differently or merge them (a+ for (a+)+), repeat a bounded number of times, or check the text's length before.",
  visit(context) {
    const look = (node: { callee: Node; arguments: Node[]; start: number; end: number }) => {
      const { callee, arguments: args } = node;
      if (callee.type !== "Identifier" || callee.name !== "RegExp" || !context.isGlobal("RegExp"))
        return;
      const pattern = args[0] && textOf(args[0]);
      if (pattern !== undefined) judge(context, node, pattern, args[1] ? textOf(args[1]) : "");
    };
    return {
      Literal: (node) => {
        if ("regex" in node) judge(context, node, node.regex.pattern, node.regex.flags);
      },
      CallExpression: look,
      NewExpression: look,
    };
  },
};

function judge(context: Context, at: Span, pattern: string, flags = ""): void {
  const part = ambiguousLoop(pattern, flags, context.budget);
  if (part === undefined) return;
  const shown = part.length > 60 ? `${part.slice(0, 60)}…` : part;
  context.report(at, {
    message: `The repetition ${shown} can match the same text in several ways.`,
  });
}
