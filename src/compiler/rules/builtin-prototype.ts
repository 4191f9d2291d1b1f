/** Methods added to the language's own classes. */
import { bare, pathOf } from "#compiler/analysis/tree.ts";
import type { Rule } from "#compiler/analysis/rule.ts";

const BUILTIN =
  /^(Array|String|Number|Boolean|Function|Promise|Map|Set|Date|RegExp|Error|Symbol)\.prototype\.\w+$/;

export const builtinPrototype: Rule = {
  code: "builtin_prototype",
  title: "Changing the language's own classes",
  severity: "warning",
  explanation:
    "A method that is added to a class of the language changes every value of that class in the service, also inside of libraries, and can collide with what the language adds later.",
  fix: "Write a function that takes the value.",
  visit: ({ report, isGlobal }) => ({
    AssignmentExpression({ left, start, end }) {
      const path = pathOf(bare(left));
      if (path === undefined || !isGlobal(path[0]!) || !BUILTIN.test(path.join("."))) return;
      report({ start, end }, { message: `This changes ${path.slice(0, 2).join(".")}.` });
    },
  }),
};
