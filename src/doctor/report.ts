/** What `solo doctor --attack` prints. Pure. */
import type { AttackResult } from "#doctor/ground.ts";

export interface AttackReport {
  readonly ok: boolean;
  readonly attacks: number;
  readonly failed: number;
  readonly worst_health_ms: number;
  readonly worst_bystander_ms: number;
  readonly worst_neighbour_ms: number;
  readonly results: readonly AttackResult[];
}

const worst = (values: readonly number[]): number => Math.round(Math.max(0, ...values));

export function attackReport(results: readonly AttackResult[]): AttackReport {
  const failed = results.filter(({ held }) => !held).length;
  return {
    ok: failed === 0,
    attacks: results.length,
    failed,
    worst_health_ms: worst(results.map((each) => each.worst_health_ms)),
    worst_bystander_ms: worst(results.map((each) => each.worst_bystander_ms)),
    worst_neighbour_ms: worst(results.map((each) => each.neighbour_ms)),
    results,
  };
}

/** One line for an attack that has ended, and one for each thing that went wrong. */
export function attackLine({ held, kind, name, outcome, problems, took_ms }: AttackResult): string {
  const seconds = `${(took_ms / 1000).toFixed(1)} s`.padStart(7);
  const head = `  ${held ? "held" : "FAIL"} ${seconds}  ${kind.padEnd(9)} a service that ${name}  [${outcome}]`;
  return [head, ...problems.map((problem) => `${" ".repeat(16)}${problem}`)].join("\n");
}

export function attackText(report: AttackReport): string {
  const { attacks, failed, worst_health_ms, worst_bystander_ms, worst_neighbour_ms } = report;
  return `${attacks - failed} of ${attacks} attacks held.
Longest wait meanwhile: the kernel ${worst_health_ms} ms, another tenant ${worst_bystander_ms} ms; a neighbour was back after at most ${worst_neighbour_ms} ms.
`;
}
