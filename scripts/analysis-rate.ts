/**
 * How often each rule of static analysis speaks, over the examples and well-known packages:
 * `node scripts/analysis-rate.ts [--show RULE_CODE]`. The figures in docs/analysis.md are from here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseSync } from "oxc-parser";
import { Analyser } from "#compiler/analysis/analyse.ts";
import { RULES } from "#compiler/rules/index.ts";
import type { Finding } from "#wire/compiler.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES =
  "hono zod undici commander fast-check fastify pino ajv find-my-way devalue whatwg-url web-streams-polyfill @noble/ciphers @bufbuild/protobuf prom-client yargs light-my-request secure-json-parse picomatch semver".split(
    " ",
  );
const SOURCE = /(?<!\.d)\.(m?ts|m?js|cjs)$/;
/** The same code once more, in another form. */
const ANOTHER_FORM =
  /\/(cjs|umd|es5|node_modules|test|tests|bench|benchmarks|fixtures)\/|\.(min|test|cjs$)/;

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => SOURCE.test(path) && !ANOTHER_FORM.test(path.slice(directory.length)));
}

interface Counted {
  readonly lines: number;
  readonly files: number;
  readonly findings: readonly Finding[];
}

function look(directory: string): Counted {
  let [lines, files] = [0, 0];
  const findings: Finding[] = [];
  for (const path of filesBelow(directory)) {
    const source = readFileSync(path, "utf8");
    const lang = path.endsWith("ts") ? "ts" : "js";
    const parsed = parseSync(path, source, { lang, sourceType: "module" });
    if (parsed.errors.length > 0) continue;
    files += 1;
    lines += source.split("\n").length;
    const analyser = new Analyser();
    analyser.look({ path: path.slice(ROOT.length), source, parsed, isEntry: true });
    findings.push(...analyser.result().findings.filter(({ needs }) => needs?.kind !== "service"));
  }
  return { lines, files, findings };
}

const { values } = parseArgs({ options: { show: { type: "string" } } });
const counted = new Map(
  ["examples", ...PACKAGES.map((name) => `node_modules/${name}`)].map((name) => [
    name,
    look(join(ROOT, name)),
  ]),
);
for (const [name, { lines, files, findings }] of counted) {
  console.log(`${name}: ${files} files, ${lines} lines, ${findings.length} findings`);
  for (const finding of findings) {
    if (finding.code !== values.show) continue;
    console.log(`  ${finding.file}:${finding.line}: ${finding.message}\n${finding.excerpt}`);
  }
}
const all = [...counted.values()];
const lines = all.reduce((sum, each) => sum + each.lines, 0);
const found = all.flatMap(({ findings }) => findings);
console.log(`\n${lines} lines\nrule  findings  per 1000 lines`);
for (const code of [...RULES.map((rule) => rule.code), "analysis_incomplete"]) {
  const count = found.filter((finding) => finding.code === code).length;
  console.log(`${code}  ${count}  ${((count * 1000) / lines).toFixed(3)}`);
}
