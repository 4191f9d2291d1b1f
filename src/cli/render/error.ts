/** An error for people: what happened, where in the source, what to do next. */
import type { DenialBody, Diagnostic, SoloError } from "#base/errors.ts";
import { oneLine, printable } from "#cli/render/format.ts";
import type { Paint } from "#cli/render/paint.ts";

const indent = (text: string, by: string): string => text.replace(/^/gm, by);

/** One line of source gets its number and a caret; a longer excerpt has them already. */
function excerpt({ excerpt: source, line, column }: Diagnostic): string[] {
  if (source === "") return [];
  const text = printable(source).replace(/\n$/, "");
  if (text.includes("\n")) return [indent(text, "  ")];
  const gutter = `${line} | `;
  // Tabs stay tabs, so that the caret stands below its column at any tab width.
  const before = text.slice(0, Math.max(0, column - 1)).replace(/[^\t]/g, " ");
  return [`  ${gutter}${text}`, `  ${" ".repeat(gutter.length - 2)}| ${before}^`];
}

export function renderDiagnostic(finding: Diagnostic, paint: Paint): string {
  const { file, line, column, severity, code, message, explanation, fix } = finding;
  const ink = severity === "error" ? "red" : "yellow";
  return [
    `${paint("bold", `${oneLine(file)}:${line}:${column}`)} ${paint(ink, `${severity}[${oneLine(code)}]`)}: ${printable(message)}`,
    ...excerpt(finding),
    ...(explanation === "" ? [] : [indent(printable(explanation), "  ")]),
    ...(fix === undefined ? [] : [`  fix: ${printable(fix)}`]),
  ].join("\n");
}

/** What was missing, what took it away, what comes closest, who can give it. */
function renderDenial(denial: DenialBody): string[] {
  const { permission, resource, why, link, nearest, grantable_by } = denial;
  const named = link && `${link.id}${link.label === "" ? "" : ` "${link.label}"`}`;
  const lines = [
    ["missing", `${permission} on ${resource}`],
    ["why", named === null ? why : `${why}, at ${named} (level ${link?.level})`],
    ...(nearest === null
      ? []
      : [
          [
            "nearest",
            `${nearest.id} (${nearest.permissions.join(", ")} on ${nearest.resources.join(", ")}) lacks ${nearest.lacks === "nothing" ? "nothing" : `the ${nearest.lacks}`}`,
          ],
        ]),
    ["can grant", grantable_by.join(", ")],
  ];
  return lines.map(([name, text]) => `  ${oneLine(`${name}: ${text}`)}`);
}

export function renderError(error: SoloError, paint: Paint): string {
  const { hint, fields = [], diagnostics = [], stack, serviceCode, denial } = error.options;
  return [
    `${paint("red", `error[${error.code}]`)}: ${printable(error.message)}`,
    ...(serviceCode === undefined ? [] : [`  code: ${oneLine(serviceCode)}`]),
    ...(denial === undefined ? [] : renderDenial(denial)),
    ...fields.map(({ field, message }) => `  ${oneLine(field)}: ${oneLine(message)}`),
    ...diagnostics.map((finding) => indent(renderDiagnostic(finding, paint), "  ")),
    ...(stack === undefined ? [] : [paint("dim", indent(printable(stack), "  "))]),
    ...(hint === undefined ? [] : [`${paint("cyan", "hint")}: ${printable(hint)}`]),
  ].join("\n");
}
