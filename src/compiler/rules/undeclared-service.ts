/** Services that this one talks to and did not ask for. */
import { pathOf, textOf } from "#compiler/analysis/tree.ts";
import type { Rule } from "#compiler/analysis/rule.ts";

const WAYS: ReadonlySet<string> = new Set(["call", "cast", "fetch"]);

export const undeclaredService: Rule = {
  code: "undeclared_service",
  title: "A service that was not declared",
  severity: "error",
  explanation:
    "A deploy that names its capabilities gets those and no others: a message to a service that is not among them is refused.",
  fix: "Add service:<name> to `capabilities` of the deploy.",
  visit: ({ report }) => ({
    CallExpression(node) {
      const path = pathOf(node.callee);
      if (path?.at(-2) !== "services" || !WAYS.has(path.at(-1)!)) return;
      const name = node.arguments[0] && textOf(node.arguments[0]);
      if (name === undefined) return;
      report(node, {
        message: `This talks to the service ${JSON.stringify(name)}, which the deploy does not declare.`,
        needs: { kind: "service", name },
      });
    },
  }),
};
