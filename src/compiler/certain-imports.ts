/**
 * `import()` that is reached whenever the code around it runs. No service can import while it
 * runs, so that it always fails there.
 *
 * 1. What only may be reached is none: under a condition, in a `try`, or with a `catch` of its
 *    own. Libraries ask that way for what they can do without.
 */
import {
  Budget,
  keyOf,
  OutOfSteps,
  walk,
  type Node,
  type NodeOf,
} from "#compiler/analysis/tree.ts";

const MAX_STEPS = 1_000_000;
const CONDITIONS: ReadonlySet<Node["type"]> = new Set<Node["type"]>([
  "IfStatement",
  "ConditionalExpression",
  "LogicalExpression",
  "SwitchStatement",
]);

export function certainImports(program: Node): NodeOf<"ImportExpression">[] {
  const found: NodeOf<"ImportExpression">[] = [];
  try {
    walk(program, new Budget(MAX_STEPS), (node) => {
      if (node.type === "ImportExpression") found.push(node);
      return !isGuarded(node);
    });
  } catch (error) {
    // What is further down is told of when it runs.
    if (!(error instanceof OutOfSteps)) throw error;
  }
  return found;
}

function isGuarded(node: Node): boolean {
  if (node.type === "TryStatement") return node.handler !== null;
  if (node.type !== "CallExpression") return CONDITIONS.has(node.type);
  if (node.callee.type !== "MemberExpression") return false;
  const method = keyOf(node.callee);
  return method === "catch" || (method === "then" && node.arguments.length > 1);
}
