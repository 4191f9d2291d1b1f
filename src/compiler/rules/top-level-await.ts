/** Waiting while the service is being loaded. */
import { isFunction, pathOf, walk, type Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

export const topLevelAwait: Rule = {
  code: "blocking_top_level_await",
  title: "Waiting while the service loads",
  severity: "warning",
  explanation:
    "The service takes no message until its top level has run. A wait there delays every start and restart, and one that does not end makes the deploy fail at restart_limits.startup_timeout_ms.",
  fix: "Wait in init or in the handler that needs the result, and keep the promise if it should be asked for once.",
  visit: (context) => ({
    AwaitExpression(node) {
      if (!isTopLevel(node, context)) return;
      const message = waitsFor(node.argument, context);
      if (message !== undefined) context.report(node, { message });
    },
    ForOfStatement(node) {
      if (node.await && isTopLevel(node, context))
        context.report(
          { start: node.start, end: node.body.start },
          { message: "The top level waits for each element." },
        );
    },
  }),
};

function isTopLevel(node: Node, { parentOf, budget }: Context): boolean {
  for (let above = parentOf(node); above !== undefined; above = parentOf(above)) {
    budget.spend();
    if (isFunction(above)) return false;
  }
  return true;
}

function waitsFor(root: Node, { budget, isGlobal }: Context): string | undefined {
  let found: string | undefined;
  walk(root, budget, (node) => {
    if (found !== undefined || isFunction(node)) return false;
    if (node.type === "CallExpression") {
      const path = pathOf(node.callee)?.join(".");
      if (path === "fetch" || path === "globalThis.fetch")
        found = "The top level waits for the network.";
    }
    if (
      node.type === "NewExpression" &&
      node.callee.type === "Identifier" &&
      node.callee.name === "Promise" &&
      isGlobal("Promise")
    )
      found = neverSettles(node.arguments[0])
        ? "The top level waits for a promise that nothing settles."
        : "The top level waits for a promise of its own.";
    return undefined;
  });
  return found;
}

/** An executor that takes neither resolve nor reject. */
const neverSettles = (executor: Node | undefined): boolean =>
  executor !== undefined && isFunction(executor) && executor.params.length === 0;
