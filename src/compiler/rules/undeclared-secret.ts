/** Secrets that the service reads and did not ask for. */
import { pathOf, textOf } from "#compiler/analysis/tree.ts";
import type { Rule } from "#compiler/analysis/rule.ts";

export const undeclaredSecret: Rule = {
  code: "undeclared_secret",
  title: "A secret that was not declared",
  severity: "error",
  explanation:
    "A service reads the secrets that its deploy names, and no others: asking for another is refused.",
  fix: "Add the name to `secrets` of the deploy.",
  visit: ({ report }) => ({
    CallExpression(node) {
      const path = pathOf(node.callee);
      if (path?.at(-1) !== "get" || path.at(-2) !== "secrets") return;
      const name = node.arguments[0] && textOf(node.arguments[0]);
      if (name === undefined) return;
      report(node, {
        message: `This reads the secret ${JSON.stringify(name)}, which the deploy does not declare.`,
        needs: { kind: "secret", name },
      });
    },
  }),
};
