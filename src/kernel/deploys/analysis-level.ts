/**
 * What a deploy makes of what analysis found: nothing, warnings, or a refusal.
 *
 * 1. What the deploy declares is no finding.
 * 2. A finding that is an error is one for the deploy under `strict` only.
 */
import { SoloError, type Diagnostic } from "#base/errors.ts";
import { contains, parsePattern } from "#capability/resource.ts";
import type { Finding, Need } from "#wire/compiler.ts";

export type AnalysisLevel = "off" | "warn" | "strict";

export interface Declared {
  /** It named no capabilities, and so reaches its own tenant's services. */
  readonly services: boolean;
  /** What it asks for, such as `net:api.example.com` and `secret:stripe`. */
  readonly resources: readonly string[];
}

/** The findings that stand, with the severity that they have for this deploy. */
export function findingsAt(
  level: AnalysisLevel,
  findings: readonly Finding[],
  declared: Declared,
): Diagnostic[] {
  if (level === "off") return [];
  return findings
    .filter(({ needs }) => needs === undefined || !isGiven(needs, declared))
    .map((finding) => asDiagnostic(finding, level === "strict" ? finding.severity : "warning"));
}

function asDiagnostic(finding: Finding, severity: Diagnostic["severity"]): Diagnostic {
  const { needs: _needs, ...diagnostic } = finding;
  return { ...diagnostic, severity };
}

function isGiven({ kind, name }: Need, { services, resources }: Declared): boolean {
  if (services && kind === "service") return true;
  const wanted = parsePattern(`${kind}:${name}`);
  return resources.some((text) => {
    const held = parsePattern(text);
    return wanted !== undefined && held !== undefined && contains(held, wanted);
  });
}

/** Undefined when no finding is an error. */
export function analysisError(findings: readonly Diagnostic[]): SoloError | undefined {
  const errors = findings.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return undefined;
  const { file, line, column, code, message } = first;
  const more = errors.length === 1 ? "" : `, and ${errors.length - 1} more`;
  return new SoloError(
    "analysis_refused",
    `${file}:${line}:${column}: ${code}: ${message}${more}`,
    {
      diagnostics: findings,
      hint: `Correct the places in \`diagnostics\`; where one is right as it is, say so: // solo-allow ${code}: reason`,
    },
  );
}
