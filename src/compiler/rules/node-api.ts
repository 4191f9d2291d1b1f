/** What Node has and a service has not. */
import type { Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

const INSTEAD: Readonly<Record<string, string>> = {
  process: "solo.env has the service's variables",
  require: "import relative paths, and bundle packages into the source",
  module: "use export default",
  exports: "use export",
  Buffer: "use Uint8Array with TextEncoder, TextDecoder, atob and btoa",
  __dirname: "there is no file system; import data as .json",
  __filename: "there is no file system; import data as .json",
  setImmediate: "use queueMicrotask or setTimeout",
};

export const nodeApi: Rule = {
  code: "node_api",
  title: "Something of Node that services do not have",
  severity: "error",
  explanation:
    "A service runs on web-standard globals and the solo object. Node's own globals do not exist there: using one throws a ReferenceError.",
  fix: "Use the web's counterpart, or what solo offers; docs/globals.md lists the globals.",
  visit(context) {
    const used = new Map<string, Node>();
    const tested = new Set<string>();
    return {
      Identifier(node) {
        const { name } = node as { name: string };
        if (!Object.hasOwn(INSTEAD, name) || !context.isGlobal(name)) return;
        const use = useOf(node, context);
        if (use === "test") tested.add(name);
        else if (use === "use" && !used.has(name)) used.set(name, node);
      },
      finish() {
        for (const [name, node] of used) {
          // Whoever asks first whether it is there can do without it.
          if (tested.has(name)) continue;
          context.report(node, { message: `There is no ${name} here: ${INSTEAD[name]}.` });
        }
      },
    };
  },
};

function useOf(node: Node, { parentOf }: Context): "use" | "test" | "name" {
  const above = parentOf(node);
  if (above === undefined) return "name";
  if (above.type === "UnaryExpression" && above.operator === "typeof") return "test";
  if (above.type === "MemberExpression") {
    if (above.object === node) return "use";
    return above.computed ? "use" : "name";
  }
  if (above.type === "Property") return above.value === node && !above.method ? "use" : "name";
  if (above.type === "CallExpression" || above.type === "NewExpression") return "use";
  if (above.type === "VariableDeclarator" && above.init === node) return "use";
  return above.type === "AssignmentExpression" && above.right === node ? "use" : "name";
}
