/** Every rule. To add one, write its file, list it here, and describe it in docs/analysis.md. */
import type { Rule } from "#compiler/analysis/rule.ts";
import { builtinPrototype } from "#compiler/rules/builtin-prototype.ts";
import { catastrophicRegexp } from "#compiler/rules/catastrophic-regexp.ts";
import { dynamicCode } from "#compiler/rules/dynamic-code.ts";
import { dynamicImport } from "#compiler/rules/dynamic-import.ts";
import { endlessLoop } from "#compiler/rules/endless-loop.ts";
import { hardCodedSecret } from "#compiler/rules/hard-coded-secret.ts";
import { missingAwait } from "#compiler/rules/missing-await.ts";
import { nodeApi } from "#compiler/rules/node-api.ts";
import { prototypePollution } from "#compiler/rules/prototype-pollution.ts";
import { topLevelAwait } from "#compiler/rules/top-level-await.ts";
import { unboundedGrowth } from "#compiler/rules/unbounded-growth.ts";
import { undeclaredNetwork } from "#compiler/rules/undeclared-network.ts";
import { undeclaredSecret } from "#compiler/rules/undeclared-secret.ts";
import { undeclaredService } from "#compiler/rules/undeclared-service.ts";

export const RULES: readonly Rule[] = [
  endlessLoop,
  catastrophicRegexp,
  unboundedGrowth,
  topLevelAwait,
  missingAwait,
  dynamicCode,
  dynamicImport,
  prototypePollution,
  builtinPrototype,
  hardCodedSecret,
  nodeApi,
  undeclaredNetwork,
  undeclaredSecret,
  undeclaredService,
];

/** What analysis says about itself. */
export const NOTICES = {
  incomplete: {
    code: "analysis_incomplete",
    title: "A source that was not looked at to its end",
    severity: "error",
    explanation:
      "Analysis is bounded, so that no deploy keeps others waiting. What lies beyond the bound was not looked at.",
    fix: "Split the source over several deploys, or leave out what it does not use (tree shaking, minifying).",
  },
  badAllow: {
    code: "bad_allow",
    title: "A suppression that suppresses nothing",
    severity: "warning",
    explanation: "A finding is allowed by naming its rule and saying why it is right here.",
    fix: "Write: // solo-allow RULE_CODE: reason",
  },
} as const satisfies Record<string, Omit<Rule, "visit">>;

export const RULE_CODES: ReadonlySet<string> = new Set(RULES.map(({ code }) => code));
