/** What the source says about a value: literals, and constants of the module that are one. */
import { bare, textOf, type Node } from "#compiler/analysis/tree.ts";
import type { Context } from "#compiler/analysis/rule.ts";

export interface Beginning {
  readonly text: string;
  /** Nothing follows that is decided at run time. */
  readonly whole: boolean;
}

const nothing: Beginning = { text: "", whole: false };
/** A constant of a constant, and no further. */
const MAX_DEPTH = 4;

/** As much of a text's beginning as the source says. */
export function beginningOf(node: Node, context: Context, depth = 0): Beginning {
  const inner = bare(node);
  const text = textOf(inner);
  if (text !== undefined) return { text, whole: true };
  if (depth > MAX_DEPTH) return nothing;
  if (inner.type === "Identifier") {
    const value = constantOf(inner.name, context);
    return value === undefined ? nothing : beginningOf(value, context, depth + 1);
  }
  if (inner.type === "BinaryExpression" && inner.operator === "+") {
    const left = beginningOf(inner.left, context, depth + 1);
    if (!left.whole) return left;
    const right = beginningOf(inner.right, context, depth + 1);
    return { text: left.text + right.text, whole: right.whole };
  }
  if (inner.type !== "TemplateLiteral") return nothing;
  let read = "";
  for (const [index, { value }] of inner.quasis.entries()) {
    read += value.cooked ?? "";
    const next = inner.expressions[index];
    if (next === undefined) return { text: read, whole: true };
    const part = beginningOf(next, context, depth + 1);
    read += part.text;
    if (!part.whole) break;
  }
  return { text: read, whole: false };
}

/** What a `const` at the top level of the module was made of. */
function constantOf(name: string, { program, budget }: Context): Node | undefined {
  for (const statement of program.body) {
    budget.spend();
    const declaration =
      statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type !== "VariableDeclaration" || declaration.kind !== "const") continue;
    for (const { id, init } of declaration.declarations) {
      if (id.type === "Identifier" && id.name === name) return init ?? undefined;
    }
  }
  return undefined;
}
