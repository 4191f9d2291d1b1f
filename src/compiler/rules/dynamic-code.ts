/** Code made from text while the service runs. */
import { bare, keyOf, pathOf, textOf, type Node, type NodeOf } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

const GLOBALS: ReadonlySet<string> = new Set(["globalThis", "self"]);
const TIMERS: ReadonlySet<string> = new Set(["setTimeout", "setInterval"]);

export const dynamicCode: Rule = {
  code: "dynamic_code",
  title: "Code made from text",
  severity: "error",
  explanation:
    "Text that becomes code cannot be checked before it runs, and whoever can influence the text runs code of theirs with the service's powers. Timers take functions only.",
  fix: "Write the code as a function. For data use JSON.parse; for a choice of actions use an object or Map of functions.",
  visit(context) {
    const look = (node: { callee: Node; arguments: Node[]; start: number; end: number }) => {
      const message = judge(node.callee, node.arguments, context);
      if (message !== undefined) context.report(node, { message });
    };
    return { CallExpression: look, NewExpression: look };
  },
};

function judge(callee: Node, args: readonly Node[], context: Context): string | undefined {
  const name = globalName(callee, context);
  if (name === "eval") return "eval runs text as code.";
  if (name === "Function") return "The Function constructor makes code from text.";
  if (name !== undefined && TIMERS.has(name) && args[0] !== undefined && isText(args[0]))
    return `${name} is given text instead of a function.`;
  if (isConstructor(callee) && isConstructor(bare(callee.object)))
    return "The constructor of a constructor is Function, which makes code from text.";
  return undefined;
}

const isConstructor = (node: Node): node is NodeOf<"MemberExpression"> =>
  node.type === "MemberExpression" && keyOf(node) === "constructor";

/** The platform's function that is called, also as `globalThis.eval` and `(0, eval)`. */
function globalName(callee: Node, { isGlobal }: Context): string | undefined {
  let inner = bare(callee);
  if (inner.type === "SequenceExpression") inner = bare(inner.expressions.at(-1)!);
  const path = pathOf(inner);
  if (path === undefined || !isGlobal(path[0]!)) return undefined;
  if (path.length === 1) return path[0];
  return path.length === 2 && GLOBALS.has(path[0]!) ? path[1] : undefined;
}

function isText(node: Node): boolean {
  const inner = bare(node);
  if (inner.type === "TemplateLiteral" || textOf(inner) !== undefined) return true;
  return inner.type === "BinaryExpression" && inner.operator === "+" && isText(inner.left);
}
