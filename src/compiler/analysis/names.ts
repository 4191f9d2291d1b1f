/** Names that a source declares, at any depth. */
import type { Node } from "#compiler/analysis/tree.ts";

/** A name among these may be the source's own wherever it stands. */
export function declaredNames(nodes: readonly Node[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const node of nodes) {
    switch (node.type) {
      case "VariableDeclarator":
        addNames(node.id, names);
        break;
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        if (node.id !== null) names.add(node.id.name);
        for (const param of node.params) addNames(param, names);
        break;
      case "ClassDeclaration":
      case "ClassExpression":
        if (node.id !== null) names.add(node.id.name);
        break;
      case "CatchClause":
        if (node.param !== null) addNames(node.param, names);
        break;
      case "ImportSpecifier":
      case "ImportDefaultSpecifier":
      case "ImportNamespaceSpecifier":
        names.add(node.local.name);
        break;
      case "TSEnumDeclaration":
        names.add(node.id.name);
        break;
      default:
    }
  }
  return names;
}

/** The names that a pattern binds. */
function addNames(pattern: Node, names: Set<string>): void {
  const waiting: Node[] = [pattern];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    switch (at.type) {
      case "Identifier":
        names.add((at as { name: string }).name);
        break;
      case "ObjectPattern":
        waiting.push(
          ...at.properties.map((each) => (each.type === "Property" ? each.value : each)),
        );
        break;
      case "ArrayPattern":
        for (const each of at.elements) if (each !== null) waiting.push(each);
        break;
      case "AssignmentPattern":
        waiting.push(at.left);
        break;
      case "RestElement":
        waiting.push(at.argument);
        break;
      case "TSParameterProperty":
        waiting.push(at.parameter);
        break;
      default:
    }
  }
}
