/** `solo doctor`: looks at this machine, and with --attack lets hostile services loose on it. */
import { realpath } from "node:fs/promises";
import { systemClock } from "#base/clock.ts";
import { prepareCellPrograms, probeCells } from "#bin/cell-host.ts";
import { startThrowawayKernel } from "#bin/throwaway-kernel.ts";
import type { DoctorOutcome, DoctorRequest } from "#cli/powers.ts";
import { ATTACKS } from "#doctor/attacks/index.ts";
import { attackLine, attackReport, attackText } from "#doctor/report.ts";
import { runSuite } from "#doctor/suite.ts";
import { doctorReport, doctorText } from "#sandbox/doctor.ts";

/** Small enough that bombs hit it at once and the machine does not suffer. */
const ATTACKED_CELL_MB = "512";

export async function runDoctor({ attack, tell, signal }: DoctorRequest): Promise<DoctorOutcome> {
  const node = await realpath(process.execPath);
  const host = doctorReport(await probeCells(node, await prepareCellPrograms()));
  await tell(doctorText(host));
  if (!attack) return { ok: host.ok, report: { ...host } };
  await using kernel = await startThrowawayKernel({
    node,
    settings: { SOLO_LIMITS_TENANT_MEMORY_MB: ATTACKED_CELL_MB },
  });
  const results = await runSuite({
    attacks: ATTACKS,
    client: (tenant) => kernel.client(tenant),
    clock: systemClock,
    signal,
    onResult: (result) => tell(`${attackLine(result)}\n`),
  });
  const attacks = attackReport(results);
  await tell(`\n${attackText(attacks)}`);
  return { ok: host.ok && attacks.ok, report: { ...host, ok: host.ok && attacks.ok, attacks } };
}
