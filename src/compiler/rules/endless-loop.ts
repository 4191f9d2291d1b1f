/** Loops that nothing ends: a turn that never gives its thread back. */
import {
  bare,
  isFunction,
  walk,
  type Budget,
  type Node,
  type NodeOf,
} from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

type Loop = NodeOf<"WhileStatement" | "DoWhileStatement" | "ForStatement">;

export const endlessLoop: Rule = {
  code: "endless_loop",
  title: "A loop that never ends",
  severity: "error",
  explanation:
    "Nothing in the loop ends it or waits. A turn that does not return is stopped at its deadline, and the instance with it.",
  fix: "Give the loop a condition, a break or a return. To do something again and again, use solo.every or await inside the loop.",
  visit(context) {
    const look = (loop: Loop) => {
      if (loop.test !== null && !isAlwaysTrue(loop.test)) return;
      if (hasExit(loop, context)) return;
      const { start } = loop;
      const end = Math.max(loop.body.type === "BlockStatement" ? loop.body.start : loop.end, start);
      context.report(
        { start, end: loop.type === "DoWhileStatement" ? loop.end : trimmed(context, start, end) },
        { message: "This loop has no end and awaits nothing." },
      );
    };
    return { WhileStatement: look, DoWhileStatement: look, ForStatement: look };
  },
};

const trimmed = ({ source }: Context, start: number, end: number): number =>
  start + source.slice(start, end).trimEnd().length;

function isAlwaysTrue(test: Node): boolean {
  const inner = bare(test);
  if (inner.type === "Literal") return isTruthy(inner);
  if (inner.type !== "UnaryExpression" || inner.operator !== "!") return false;
  const negated = bare(inner.argument);
  return negated.type === "Literal" && !isTruthy(negated);
}

function isTruthy(literal: NodeOf<"Literal">): boolean {
  if ("bigint" in literal) return literal.bigint !== "0";
  return "regex" in literal || Boolean(literal.value);
}

function hasExit(loop: Loop, context: Context): boolean {
  let exits = false;
  walk(loop, context.budget, (node) => {
    if (exits) return false;
    if (isFunction(node)) return false;
    exits =
      node.type === "ReturnStatement" ||
      node.type === "ThrowStatement" ||
      node.type === "AwaitExpression" ||
      node.type === "YieldExpression" ||
      (node.type === "ForOfStatement" && node.await) ||
      ((node.type === "BreakStatement" || node.type === "ContinueStatement") &&
        leaves(node, loop, context));
    return undefined;
  });
  return exits;
}

/** Whether the jump goes to somewhere outside of the loop. */
function leaves(
  jump: NodeOf<"BreakStatement" | "ContinueStatement">,
  loop: Loop,
  context: Context,
): boolean {
  const label = jump.label?.name;
  if (label === undefined && jump.type === "ContinueStatement") return false;
  for (const above of ancestors(jump, context, context.budget)) {
    if (above === loop) return label === undefined || !isLabelled(loop, label, jump, context);
    const catches =
      label === undefined
        ? BREAKABLE.has(above.type)
        : above.type === "LabeledStatement" && above.label.name === label;
    if (catches) return false;
  }
  return false;
}

/** `again: for (;;) { continue again; }` stays; with break it leaves. */
const isLabelled = (
  loop: Loop,
  label: string,
  jump: NodeOf<"BreakStatement" | "ContinueStatement">,
  { parentOf }: Context,
): boolean => {
  const above = parentOf(loop);
  return (
    jump.type === "ContinueStatement" &&
    above?.type === "LabeledStatement" &&
    above.label.name === label
  );
};

const BREAKABLE: ReadonlySet<Node["type"]> = new Set([
  "WhileStatement",
  "DoWhileStatement",
  "ForStatement",
  "ForInStatement",
  "ForOfStatement",
  "SwitchStatement",
]);

function* ancestors(node: Node, { parentOf }: Context, budget: Budget): Generator<Node> {
  for (let above = parentOf(node); above !== undefined; above = parentOf(above)) {
    budget.spend();
    yield above;
  }
}
