/**
 * `import()` that is reached whenever the code around it runs. No service can import while it
 * runs, so that it always fails there.
 *
 * 1. What only may be reached is none: under a condition, in a `try`, or with a `catch` of its
 *    own. Libraries ask that way for what they can do without.
 */
import type { Diagnostic } from "#base/errors.ts";
import { readAllowances } from "#compiler/analysis/allow.ts";
import {
  Budget,
  keyOf,
  OutOfSteps,
  textOf,
  walk,
  type Node,
  type NodeOf,
} from "#compiler/analysis/tree.ts";
import type { Parsed } from "#compiler/parse.ts";
import { Places } from "#compiler/position.ts";
import { dynamicImport } from "#compiler/rules/dynamic-import.ts";
import { importRefusal, resolveModule } from "#wire/modules.ts";

const MAX_STEPS = 1_000_000;
const CONDITIONS: ReadonlySet<Node["type"]> = new Set<Node["type"]>([
  "IfStatement",
  "ConditionalExpression",
  "LogicalExpression",
  "SwitchStatement",
]);

/** `paths`: the files of the deploy. */
export function dynamicImportFindings(
  { path, source }: { readonly path: string; readonly source: string },
  { program, comments }: Parsed,
  paths: ReadonlySet<string>,
): Diagnostic[] {
  const found = certainImports(program);
  if (found.length === 0) return [];
  const { code, explanation, fix } = dynamicImport;
  const places = new Places(source);
  const { allowed } = readAllowances(source, comments, { places, codes: new Set([code]) });
  return found
    .map((node) => ({ node, place: places.of(node.start, node.end) }))
    .filter(({ place }) => !allowed.some(({ line }) => line === place.line))
    .map(({ node, place }) => {
      const named = textOf(node.source);
      const isThere = named !== undefined && resolveModule(named, path, paths) !== undefined;
      const why =
        named === undefined || isThere
          ? { explanation, fix: isThere ? importOf(named) : fix }
          : { explanation: importRefusal(named, path) };
      return {
        code,
        severity: "error" as const,
        message: "A service cannot import while it runs.",
        file: path,
        ...place,
        ...why,
      };
    });
}

const importOf = (named: string): string =>
  `Write at the top: import * as part from ${JSON.stringify(named)};`;

function certainImports(program: Node): NodeOf<"ImportExpression">[] {
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
