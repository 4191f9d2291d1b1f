/** Ways in which a key that somebody else chose reaches the prototype of every object. */
import {
  bare,
  keyOf,
  pathOf,
  textOf,
  walk,
  type Node,
  type NodeOf,
} from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

type Member = NodeOf<"MemberExpression">;

export const prototypePollution: Rule = {
  code: "prototype_pollution",
  title: "Writing to the prototype of every object",
  severity: "error",
  explanation:
    "What is written to Object.prototype appears in every object of the service. A merge or a path that takes any key can be given `__proto__` by a request: JSON.parse makes it an own key.",
  fix: "Leave out the keys `__proto__`, `constructor` and `prototype`, keep such data in a Map or in Object.create(null), or use structuredClone to copy.",
  visit: (context) => ({
    AssignmentExpression({ left, start, end }) {
      const target = bare(left);
      if (target.type !== "MemberExpression") return;
      const message = writesToPrototype(target);
      if (message !== undefined) context.report({ start, end }, { message });
    },
    CallExpression({ callee, arguments: args, start, end }) {
      const path = pathOf(callee)?.join(".");
      const extends_ = path === "Object.assign" || path?.startsWith("Object.defineProp");
      if (extends_ && args[0] !== undefined && isObjectPrototype(args[0]))
        context.report({ start, end }, { message: "This extends Object.prototype." });
    },
    FunctionDeclaration: (node) => lookAtFunction(node, context),
    FunctionExpression: (node) => lookAtFunction(node, context),
    ArrowFunctionExpression: (node) => lookAtFunction(node, context),
  }),
};

const isObjectPrototype = (node: Node): boolean => pathOf(node)?.join(".") === "Object.prototype";

function writesToPrototype(target: Member): string | undefined {
  const owner = bare(target.object);
  if (isObjectPrototype(owner)) return "This extends Object.prototype.";
  if (owner.type !== "MemberExpression") return undefined;
  if (keyOf(owner) === "__proto__")
    return "This writes to what `__proto__` is: the prototype that many objects share.";
  const above = bare(owner.object);
  if (
    keyOf(owner) === "prototype" &&
    above.type === "MemberExpression" &&
    keyOf(above) === "constructor" &&
    bare(above.object).type !== "ThisExpression"
  )
    return "This writes to the prototype of whatever class the object is of.";
  return undefined;
}

type AnyFunction = NodeOf<"FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression">;

/** What a function does with keys that it was given. */
interface Seen {
  /** `target[key] = …`, by the name of what is written to. */
  readonly writes: Map<string, Node>;
  /** What `at = at[key]` goes down. */
  readonly descends: Set<string>;
  /** It calls itself with `x[key]` first, as a merge of two does. */
  again: boolean;
  split: boolean;
}

/** A function that writes under keys it was given, deeper and deeper, and turns none away. */
function lookAtFunction(node: AnyFunction, context: Context): void {
  if (node.body === null) return;
  const name = nameOf(node, context);
  const seen: Seen = { writes: new Map(), descends: new Set(), again: false, split: false };
  let guarded = false;
  walk(node.body, context.budget, (at) => {
    if (guarded) return false;
    if (at.type === "FunctionDeclaration") return false;
    if (isGuard(at)) guarded = true;
    else if (at.type === "AssignmentExpression") lookAtWrite(at, seen);
    else if (at.type === "CallExpression") {
      const path = pathOf(at.callee);
      const [first, second] = at.arguments;
      if (path?.at(-1) === "split") seen.split = true;
      else if (name !== undefined && path?.join(".") === name && second !== undefined)
        seen.again ||= first !== undefined && takesByKey(first);
    }
    return undefined;
  });
  if (guarded) return;
  for (const [target, write] of seen.writes) {
    // What the function made itself and merges into is a copy, and no prototype.
    if (seen.again && isParameter(node, target))
      context.report(write, { message: "This merge copies any key, also `__proto__`." });
    else if (seen.split && seen.descends.has(target))
      context.report(write, { message: "This path may go through any key, also `__proto__`." });
  }
}

const isParameter = ({ params }: AnyFunction, name: string): boolean =>
  params.some((param) => {
    const inner = param.type === "AssignmentPattern" ? param.left : param;
    return inner.type === "Identifier" && inner.name === name;
  });

function lookAtWrite(
  { left, right }: NodeOf<"AssignmentExpression">,
  { writes, descends }: Seen,
): void {
  const target = bare(left);
  if (target.type === "MemberExpression" && isOpenKey(target)) {
    const path = pathOf(target.object);
    if (path?.length === 1 && !writes.has(path[0]!)) writes.set(path[0]!, target);
    return;
  }
  const value = bare(right);
  if (target.type !== "Identifier" || value.type !== "MemberExpression" || !isOpenKey(value))
    return;
  if (pathOf(value.object)?.join(".") === target.name) descends.add(target.name);
}

/** `target[key]` with a key that is neither a constant nor a number that was counted. */
const isOpenKey = (member: Member): boolean => {
  if (!member.computed) return false;
  const key = bare(member.property);
  return key.type === "Identifier" && !/^[ijn]$|index|idx/i.test(key.name);
};

const takesByKey = (argument: Node): boolean => {
  const inner = bare(argument);
  return inner.type === "MemberExpression" && isOpenKey(inner);
};

const GUARD_WORDS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);
const OWN_KEY = /^(hasOwn|hasOwnProperty)$/;

function isGuard(node: Node): boolean {
  if (node.type === "Literal" || node.type === "TemplateLiteral") {
    const text = textOf(node);
    if (text !== undefined) return GUARD_WORDS.has(text);
    return node.type === "Literal" && /__proto__/.test(String(node.value));
  }
  return node.type === "Identifier" && OWN_KEY.test(node.name);
}

function nameOf(node: AnyFunction, { parentOf }: Context): string | undefined {
  const { id } = node as { id: { readonly name: string } | null };
  if (id !== null) return id.name;
  const above = parentOf(node);
  if (above?.type === "VariableDeclarator" && above.id.type === "Identifier") return above.id.name;
  return undefined;
}
