/** Collections that handlers add to and nothing takes from. */
import {
  bare,
  isFunction,
  keyOf,
  pathOf,
  walk,
  type Node,
  type NodeOf,
} from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

export const unboundedGrowth: Rule = {
  code: "unbounded_growth",
  title: "A collection that only grows",
  severity: "warning",
  explanation:
    "A handler adds to this collection, and nothing in the file takes from it, empties it or looks at its size. A service that runs for months fills its memory with it.",
  fix: "Take out what is old (shift, delete, splice), refuse beyond a size, or keep the data in solo.kv.",
  visit(context) {
    const collections = moduleCollections(context);
    const growing: { name: string; at: Node; state: boolean }[] = [];
    const bounded = new Set<string>();
    return {
      Identifier(node) {
        const { name } = node as { name: string };
        const kind = collections.get(name);
        if (kind === undefined) return;
        const use = useOf(node, kind, context);
        if (use === "bounded") bounded.add(name);
        else if (use !== "neutral") growing.push({ name, at: use, state: false });
      },
      MemberExpression(node) {
        const name = stateName(node);
        if (name === undefined) return;
        const use = useOf(node, "list", context);
        if (use === "bounded") bounded.add(`state.${name}`);
        else if (use !== "neutral") growing.push({ name: `state.${name}`, at: use, state: true });
      },
      finish() {
        const handlers = growing.length === 0 ? [] : handlerFunctions(context);
        for (const { name, at } of growing) {
          if (bounded.has(name) || !handlers.some((each) => isIn(at, each))) continue;
          context.report(at, {
            message: `Every message can add to ${name}; nothing takes from it.`,
          });
        }
      },
    };
  },
};

type Kind = "list" | "map" | "record";

/** Collections that the module makes once, and shows to no other module. */
function moduleCollections({ program, isGlobal }: Context): ReadonlyMap<string, Kind> {
  const found = new Map<string, Kind>();
  for (const statement of program.body) {
    if (statement.type !== "VariableDeclaration") continue;
    for (const { id, init } of statement.declarations) {
      if (id.type !== "Identifier" || init === null) continue;
      const made = bare(init);
      if (made.type === "ArrayExpression") found.set(id.name, "list");
      else if (made.type === "ObjectExpression" && made.properties.length === 0)
        found.set(id.name, "record");
      else if (made.type === "NewExpression" && made.callee.type === "Identifier") {
        const name = made.callee.name;
        if ((name === "Map" || name === "Set") && isGlobal(name)) found.set(id.name, "map");
      }
    }
  }
  return found;
}

/** `items` of `solo.state.items` and of `state.items`. */
function stateName(node: NodeOf<"MemberExpression">): string | undefined {
  const path = pathOf(node);
  if (path === undefined || path.at(-2) !== "state" || path.length > 3) return undefined;
  return path.at(-1);
}

const GROWS: Readonly<Record<Kind, ReadonlySet<string>>> = {
  list: new Set(["push", "unshift"]),
  map: new Set(["set", "add"]),
  record: new Set(),
};
const TAKES: ReadonlySet<string> = new Set(["pop", "shift", "splice", "delete", "clear", "fill"]);
/** They read what they are given and keep nothing. */
const READERS =
  /^(JSON\.stringify|Response\.json|structuredClone|String|Array\.(from|isArray)|Object\.(keys|values|entries|fromEntries)|Math\.(min|max)|console\.\w+|Map|Set)$/;

/** What this mention of a collection does to it; where it grows, the place. */
function useOf(node: Node, kind: Kind, { parentOf }: Context): "neutral" | "bounded" | Node {
  let at = node;
  let above = parentOf(at);
  while (above !== undefined && bare(above) !== above) [at, above] = [above, parentOf(above)];
  if (above === undefined) return "neutral";
  switch (above.type) {
    case "VariableDeclarator":
      return above.id === at ? "neutral" : "bounded";
    case "MemberExpression": {
      if (above.object !== at) return "neutral";
      return memberUse(above, kind, parentOf);
    }
    case "AssignmentExpression":
    case "AssignmentPattern":
    case "ExportSpecifier":
      return "bounded";
    case "CallExpression":
    case "NewExpression": {
      const reads = READERS.test(pathOf(above.callee)?.join(".") ?? "");
      return reads ? "neutral" : "bounded";
    }
    case "Property":
      // `return { items }` shows it to the caller as a copy.
      return parentOf(parentOf(above)!)?.type === "ReturnStatement" || above.key === at
        ? "neutral"
        : "bounded";
    default:
      return "neutral";
  }
}

function memberUse(
  member: NodeOf<"MemberExpression">,
  kind: Kind,
  parentOf: Context["parentOf"],
): "neutral" | "bounded" | Node {
  const name = keyOf(member);
  let at: Node = member;
  let user = parentOf(at);
  while (user !== undefined && bare(user) !== user) [at, user] = [user, parentOf(user)];
  if (user === undefined) return "neutral";
  if (name === "length" || name === "size")
    return user.type === "BinaryExpression" || user.type === "AssignmentExpression"
      ? "bounded"
      : "neutral";
  if (user.type === "CallExpression" && user.callee === at && name !== undefined) {
    if (TAKES.has(name)) return "bounded";
    return GROWS[kind].has(name) ? user : "neutral";
  }
  if (user.type === "UnaryExpression" && user.operator === "delete") return "bounded";
  const isKeyed = member.computed && name === undefined;
  if (user.type === "AssignmentExpression" && user.left === at && isKeyed && kind === "record")
    return user;
  return "neutral";
}

/** Functions that a message reaches: in the default export, and those that they name. */
function handlerFunctions({ program, budget, isEntry }: Context): Node[] {
  if (!isEntry) return [];
  const named = new Map<string, Node>();
  const roots: Node[] = [];
  for (const statement of program.body) {
    if (statement.type === "ExportDefaultDeclaration") roots.push(statement.declaration);
    const declaration =
      statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type === "FunctionDeclaration" && declaration.id !== null)
      named.set(declaration.id.name, declaration);
    if (declaration?.type !== "VariableDeclaration") continue;
    for (const { id, init } of declaration.declarations)
      if (id.type === "Identifier" && init !== null) named.set(id.name, init);
  }
  const reached = new Set<Node>();
  const functions: Node[] = [];
  while (roots.length > 0) {
    const root = roots.pop()!;
    if (reached.has(root)) continue;
    reached.add(root);
    walk(root, budget, (node) => {
      if (isFunction(node)) functions.push(node);
      if (node.type !== "Identifier") return;
      const next = named.get((node as { name: string }).name);
      if (next !== undefined) roots.push(next);
    });
  }
  return functions;
}

const isIn = (node: Node, outer: Node): boolean =>
  node.start >= outer.start && node.end <= outer.end;
