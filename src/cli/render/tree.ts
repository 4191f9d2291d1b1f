/** A tree of `{ id, …, children }` drawn with lines. */
import { oneLine } from "#cli/render/format.ts";
import type { Paint } from "#cli/render/paint.ts";
import { paintState } from "#cli/render/table.ts";

interface TreeNode {
  readonly id: string;
  readonly type?: unknown;
  readonly state?: unknown;
  readonly restarts?: unknown;
  readonly children?: readonly unknown[];
}

export const isTreeNode = (value: unknown): value is TreeNode =>
  typeof value === "object" && value !== null && "id" in value && typeof value.id === "string";

function label(node: TreeNode, paint: Paint): string {
  const state = typeof node.state === "string" ? paintState(paint, oneLine(node.state)) : "";
  const restarts =
    typeof node.restarts === "number" && node.restarts > 0
      ? paint("yellow", `${node.restarts} restarts`)
      : "";
  const type = node.type === "supervisor" ? paint("dim", "supervisor") : "";
  return [oneLine(node.id), type, state, restarts].filter((part) => part !== "").join("  ");
}

export function tree(root: TreeNode, paint: Paint): string {
  const lines = [label(root, paint)];
  const walk = (node: TreeNode, lead: string): void => {
    const children = (Array.isArray(node.children) ? node.children : []).filter(isTreeNode);
    for (const [at, child] of children.entries()) {
      const last = at === children.length - 1;
      lines.push(`${lead}${last ? "└─ " : "├─ "}${label(child, paint)}`);
      walk(child, lead + (last ? "   " : "│  "));
    }
  };
  walk(root, "");
  return lines.join("\n");
}
