/** Hosts that the service reaches for and did not ask for. */
import { beginningOf } from "#compiler/analysis/constants.ts";
import { bare, pathOf, type Node } from "#compiler/analysis/tree.ts";
import type { Context, Rule } from "#compiler/analysis/rule.ts";

/** Host and port, when what follows them shows that they are complete. */
const ORIGIN =
  /^(?:https?|wss?):\/\/(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?(?=[/?#]|$)/i;
const DONE = /^[a-z]+:\/\/[^/?#]+[/?#]/i;

export const undeclaredNetwork: Rule = {
  code: "undeclared_network",
  title: "A host that was not declared",
  severity: "error",
  explanation:
    "A service starts without the network: a fetch of a host that it holds no capability for fails with a TypeError.",
  fix: "Add the host to `capabilities` of the deploy, such as net:api.example.com, or remove the call.",
  visit: (context) => ({
    CallExpression(node) {
      const path = pathOf(node.callee)?.join(".");
      const isFetch =
        (path === "fetch" || path === "globalThis.fetch" || path === "self.fetch") &&
        context.isGlobal(path.split(".")[0]!);
      const target = node.arguments[0];
      if (!isFetch || target === undefined) return;
      const origin = originOf(target, context);
      if (origin === undefined) return;
      context.report(target, {
        message: `This asks ${origin}, which the deploy does not declare.`,
        needs: { kind: "net", name: origin },
      });
    },
  }),
};

/** `host` or `host:port`, when the source says it. */
function originOf(target: Node, context: Context): string | undefined {
  const inner = bare(target);
  if (inner.type === "NewExpression") {
    const made = pathOf(inner.callee)?.join(".");
    const first = inner.arguments[made === "URL" && inner.arguments.length > 1 ? 1 : 0];
    if ((made !== "URL" && made !== "Request") || first === undefined) return undefined;
    return originOf(first, context);
  }
  const { text, whole } = beginningOf(inner, context);
  if (!whole && !DONE.test(text)) return undefined;
  const [, host, port = ""] = ORIGIN.exec(text) ?? [];
  return host === undefined ? undefined : `${host.toLowerCase()}${port}`;
}
