/** Modules whose name is only known while the service runs. */
import { textOf } from "#compiler/analysis/tree.ts";
import type { Rule } from "#compiler/analysis/rule.ts";

export const dynamicImport: Rule = {
  code: "dynamic_import",
  title: "An import whose module is not named in the source",
  severity: "warning",
  explanation:
    "Which module this loads is decided while the service runs, so nobody can see before what it will do. Only modules that were deployed together exist.",
  fix: "Import the possible modules at the top and choose between them.",
  visit: ({ report }) => ({
    ImportExpression(node) {
      if (textOf(node.source) === undefined)
        report(node, { message: "The module that is imported here is not named." });
    },
  }),
};
