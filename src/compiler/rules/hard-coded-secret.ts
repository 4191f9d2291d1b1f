/** Secrets written into the source. */
import { keyOf, type Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";
import { knownSecret, looksRandom } from "#compiler/rules/secret-patterns.ts";

/** Longer texts are data. */
const MAX_CHARS = 16_384;
/** So much of a secret is shown, to tell which one it is. */
const SHOWN_CHARS = 4;

export const hardCodedSecret: Rule = {
  code: "hard_coded_secret",
  title: "A secret written into the source",
  severity: "error",
  explanation:
    "Source is stored, shown in findings and stacks, and copied to wherever the code goes. Whoever reads it has the secret, and it cannot be changed without a deploy.",
  fix: "Put it in the vault (solo secrets), read it with solo.secrets.get, and replace the secret: it has been seen.",
  visit(context) {
    const look = (node: Node, text: string) => {
      if (text.length < 12 || text.length > MAX_CHARS) return;
      const known = knownSecret(text);
      const random = known === undefined && looksRandom(nameOf(node, context) ?? "", text);
      if (known === undefined && !random) return;
      const { start, end } = node;
      const from =
        known === undefined
          ? start + 1
          : start + context.source.slice(start, end).indexOf(text.slice(known.at, known.at + 8));
      context.report(
        { start, end },
        {
          message: `This looks like ${known?.what ?? "a secret: random text under a telling name"}.`,
          hide: { start: Math.max(from, start) + SHOWN_CHARS, end: end - 1 },
        },
      );
    };
    return {
      Literal: (node) => {
        if (typeof node.value === "string") look(node, node.value);
      },
      TemplateElement: (node) => look(context.parentOf(node)!, node.value.cooked ?? ""),
    };
  },
};

/** Under which name the value stands. */
function nameOf(node: Node, { parentOf }: Context): string | undefined {
  let at = node;
  let above = parentOf(at);
  while (
    above?.type === "TemplateLiteral" ||
    above?.type === "TSAsExpression" ||
    above?.type === "LogicalExpression"
  )
    [at, above] = [above, parentOf(above)];
  switch (above?.type) {
    case "VariableDeclarator":
      return above.id.type === "Identifier" ? above.id.name : undefined;
    case "Property":
    case "PropertyDefinition": {
      if (above.value !== at) return undefined;
      const key = above.key as Node;
      if (key.type === "Literal") return String(key.value);
      return key.type === "Identifier" && !above.computed ? key.name : undefined;
    }
    case "AssignmentExpression": {
      const left = above.left as Node;
      if (above.right !== at) return undefined;
      if (left.type === "MemberExpression") return keyOf(left);
      return left.type === "Identifier" ? left.name : undefined;
    }
    case "AssignmentPattern":
      return above.left.type === "Identifier" ? above.left.name : undefined;
    default:
      return undefined;
  }
}
