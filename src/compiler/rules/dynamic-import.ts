/** Imports that are made while the service runs. */
import type { Rule } from "#compiler/analysis/rule.ts";

export const dynamicImport: Rule = {
  code: "dynamic_import",
  title: "An import that is made while the service runs",
  severity: "warning",
  explanation:
    "All modules of a service are loaded before it starts: import() always rejects while it runs, whatever it names.",
  fix: "Import the possible modules at the top and choose between them. npm packages are bundled into the source.",
  visit: ({ report }) => ({
    ImportExpression(node) {
      report(node, { message: "This import() always rejects." });
    },
  }),
};
