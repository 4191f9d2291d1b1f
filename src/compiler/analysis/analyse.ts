/**
 * What in a source is likely to hurt whoever runs it, before it runs.
 *
 * 1. The steps of all files of a deploy together are bounded, and so is the number of
 *    findings; what was not looked at is a finding itself.
 * 2. No finding repeats a secret.
 * 3. A file that does not parse has no findings here: the compiler refuses it.
 */
import type { ParseResult } from "oxc-parser";
import type { Allowed, Analysis, Finding } from "#wire/compiler.ts";
import { readAllowances } from "#compiler/analysis/allow.ts";
import type { Context, Report, Rule, Span } from "#compiler/analysis/rule.ts";
import { declaredNames } from "#compiler/analysis/names.ts";
import { Budget, OutOfSteps, pushChildren, type Node } from "#compiler/analysis/tree.ts";
import type { Parsed } from "#compiler/parse.ts";
import { Places } from "#compiler/position.ts";
import { NOTICES, RULE_CODES, RULES } from "#compiler/rules/index.ts";

const MAX_STEPS = 4_000_000;
/** Characters of source, all files of a deploy together. */
const MAX_CHARS = 2_000_000;
const MAX_FINDINGS = 50;

export interface ParsedFile {
  readonly path: string;
  readonly source: string;
  readonly parsed: Pick<Parsed, "program" | "comments">;
  readonly isEntry: boolean;
}

interface Reported extends Report, Span {
  readonly rule: Omit<Rule, "visit">;
}

/** Collects the findings of one deploy, file by file. */
export class Analyser {
  readonly #budget = new Budget(MAX_STEPS);
  readonly #findings: Finding[] = [];
  readonly #allowed: Allowed[] = [];
  #chars = 0;

  look(file: ParsedFile): void {
    const { parsed, source } = file;
    const reports: Reported[] = [];
    this.#chars += source.length;
    if (this.#chars > MAX_CHARS) reports.push(incomplete());
    else {
      try {
        visitAll(file, this.#budget, reports);
      } catch (error) {
        if (!(error instanceof OutOfSteps)) throw error;
        reports.push(incomplete());
      }
    }
    const mayAllow = source.includes("solo-allow");
    if (reports.length > 0 || mayAllow) this.#keep(file, reports, mayAllow ? parsed.comments : []);
  }

  result(): Analysis {
    return { findings: this.#findings, allowed: this.#allowed };
  }

  #keep(
    { path, source }: ParsedFile,
    reports: Reported[],
    comments: ParseResult["comments"],
  ): void {
    const places = new Places(redacted(source, reports));
    const { allowed, bad } = readAllowances(source, comments, { places, codes: RULE_CODES });
    const all: Reported[] = [
      ...reports,
      ...bad.map(({ start, end }) => ({
        start,
        end,
        rule: NOTICES.badAllow,
        message: "This names no rule and reason.",
      })),
    ];
    const allowances = new Map(
      allowed.toReversed().map((each) => [`${each.code}:${each.line}`, each]),
    );
    for (const report of all.toSorted((a, b) => a.start - b.start)) {
      const { rule, start, end, message, needs } = report;
      const { code, severity, explanation, fix } = rule;
      const place = places.of(start, end);
      const allowance = allowances.get(`${code}:${place.line}`);
      if (allowance !== undefined) {
        const { line } = place;
        if (this.#allowed.length < MAX_FINDINGS)
          this.#allowed.push({ code, file: path, line, reason: allowance.reason });
      } else if (this.#findings.length < MAX_FINDINGS) {
        this.#findings.push({
          code,
          severity,
          message,
          file: path,
          ...place,
          explanation,
          fix,
          ...(needs !== undefined && { needs }),
        });
      }
    }
  }
}

const incomplete = (): Reported => ({
  start: 0,
  end: 0,
  rule: NOTICES.incomplete,
  message: "This source is too large or too involved to be looked at to its end.",
});

function visitAll(
  { source, parsed, isEntry }: ParsedFile,
  budget: Budget,
  reports: Reported[],
): void {
  const { program } = parsed;
  const parents = new Map<Node, Node>();
  const nodes = inOrder(program, parents, budget);
  const declared = declaredNames(nodes);
  const context: Omit<Context, "report"> = {
    source,
    isEntry,
    program,
    budget,
    isGlobal: (name) => !declared.has(name),
    parentOf: (node) => parents.get(node),
  };
  const visitors = RULES.map((rule) =>
    rule.visit({
      ...context,
      report: ({ start, end }, report) => reports.push({ ...report, start, end, rule }),
    }),
  );
  const byType = new Map<string, ((node: never) => void)[]>();
  for (const { finish: _, ...visitor } of visitors) {
    for (const [type, visit] of Object.entries(visitor)) {
      const known = byType.get(type);
      if (known === undefined) byType.set(type, [visit]);
      else known.push(visit);
    }
  }
  for (const node of nodes) {
    for (const visit of byType.get(node.type) ?? []) visit(node as never);
  }
  for (const { finish } of visitors) finish?.();
}

/** Every node in the order of the source. */
function inOrder(root: Node, parents: Map<Node, Node>, budget: Budget): Node[] {
  const nodes: Node[] = [];
  const waiting: Node[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    budget.spend();
    nodes.push(node);
    const before = waiting.length;
    pushChildren(node, waiting);
    for (let index = before; index < waiting.length; index += 1) parents.set(waiting[index]!, node);
  }
  return nodes;
}

/** The source with what must not be shown dotted out; every offset stays. */
function redacted(source: string, reports: readonly Reported[]): string {
  const hidden = reports
    .flatMap(({ hide }) => (hide !== undefined && hide.end > hide.start ? hide : []))
    .toSorted((a, b) => a.start - b.start);
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end } of hidden) {
    if (end <= at) continue;
    const from = Math.max(start, at);
    pieces.push(source.slice(at, from), source.slice(from, end).replace(/[^\r\n]/g, "•"));
    at = end;
  }
  return pieces.length === 0 ? source : pieces.join("") + source.slice(at);
}
