/**
 * Walks over a parsed source, without recursion: depth is the source's choice.
 *
 * 1. Every step is paid from a budget, so that no source makes analysis take for ever.
 */
import { visitorKeys, type Node } from "oxc-parser";

export type { Node };
export type NodeOf<T extends Node["type"]> = Extract<Node, { type: T }>;

/** A source needs more steps than it gets. */
export class OutOfSteps extends Error {}

export class Budget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  spend(steps = 1): void {
    this.#left -= steps;
    if (this.#left < 0) throw new OutOfSteps();
  }
}

/** Puts the node's own children on the stack, so that the first of them is taken first. */
export function pushChildren(node: Node, stack: Node[]): void {
  const keys = visitorKeys[node.type];
  if (keys === undefined) return;
  const fields = node as unknown as Record<string, Node | null | (Node | null)[] | undefined>;
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    const child = fields[keys[index]!];
    if (child === null || child === undefined) continue;
    if (!Array.isArray(child)) {
      stack.push(child);
      continue;
    }
    for (let at = child.length - 1; at >= 0; at -= 1) {
      const each = child[at];
      if (each !== null && each !== undefined) stack.push(each);
    }
  }
}

/** Every node in the order of the source; `enter` that returns false passes over what is below. */
export function walk(root: Node, budget: Budget, enter: (node: Node) => boolean | void): void {
  const waiting: Node[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    budget.spend();
    if (enter(node) !== false) pushChildren(node, waiting);
  }
}

export const isFunction = (
  node: Node,
): node is NodeOf<"FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression"> =>
  node.type === "FunctionDeclaration" ||
  node.type === "FunctionExpression" ||
  node.type === "ArrowFunctionExpression";

/** What stands inside of parentheses, assertions and `!`, which change nothing at run time. */
export function bare(node: Node): Node {
  let inner = node;
  while (
    inner.type === "ParenthesizedExpression" ||
    inner.type === "TSAsExpression" ||
    inner.type === "TSSatisfiesExpression" ||
    inner.type === "TSNonNullExpression" ||
    inner.type === "TSTypeAssertion" ||
    inner.type === "ChainExpression"
  ) {
    inner = inner.expression;
  }
  return inner;
}

/** The name that a member expression takes, when the source says it. */
export function keyOf(node: NodeOf<"MemberExpression">): string | undefined {
  if (!node.computed) return node.property.type === "Identifier" ? node.property.name : undefined;
  return textOf(node.property);
}

/** The text that an expression is, when the source says all of it. */
export function textOf(node: Node): string | undefined {
  const inner = bare(node);
  if (inner.type === "Literal" && typeof inner.value === "string") return inner.value;
  if (inner.type === "TemplateLiteral" && inner.expressions.length === 0)
    return inner.quasis[0]?.value.cooked ?? undefined;
  return undefined;
}

/** `a.b.c` as its names, when nothing in it is computed; `this` counts as a name. */
export function pathOf(node: Node): string[] | undefined {
  const path: string[] = [];
  let at = bare(node);
  while (at.type === "MemberExpression") {
    const key = keyOf(at);
    if (key === undefined) return undefined;
    path.unshift(key);
    at = bare(at.object);
  }
  if (at.type === "ThisExpression") return ["this", ...path];
  return at.type === "Identifier" ? [at.name, ...path] : undefined;
}
