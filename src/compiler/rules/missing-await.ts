/** Promises of the solo object that nobody waits for. */
import { pathOf, type Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

/** What answers with a promise, below `solo`. */
const ASYNC =
  /^solo\.(kv\.(get|put|delete|list|entry|batch)|services\.(call|cast|fetch)|secrets\.(get|getBytes)|events\.emit|publish|subscribe|monitor|after|every|sleep)$/;
const OF_PROMISES: ReadonlySet<string> = new Set(["then", "catch", "finally"]);

export const missingAwait: Rule = {
  code: "missing_await",
  title: "A promise that nobody waits for",
  severity: "warning",
  explanation:
    "What solo does is done when its promise resolves. Without await the reply may leave before it, and its failure is an unhandled rejection, which ends the instance.",
  fix: "Put await before it. Where it shall not be waited for, say so: void solo.publish(…).catch(…).",
  visit: (context) => ({
    CallExpression(node) {
      const path = pathOf(node.callee)?.join(".");
      if (path === undefined || !ASYNC.test(path)) return;
      const use = useOf(node, context);
      if (use !== undefined) context.report(node, { message: `${path} is ${use}.` });
    },
  }),
};

function useOf(node: Node, { parentOf }: Context): string | undefined {
  const above = parentOf(node);
  switch (above?.type) {
    case "ExpressionStatement":
      return "not awaited";
    case "BinaryExpression":
    case "TemplateLiteral":
      return "used as if it were its result";
    case "MemberExpression": {
      const { object, property } = above;
      const isChained = property.type === "Identifier" && OF_PROMISES.has(property.name);
      return object === node && !isChained ? "used as if it were its result" : undefined;
    }
    default:
      return undefined;
  }
}
