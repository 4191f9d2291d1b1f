/** What the figures were taken on; they mean little without it. */
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

const SPIN_MS = 300;

export function machineFacts(): string[] {
  const load = loadavg().map((each) => each.toFixed(1));
  const model = cpus()[0]?.model ?? "unknown";
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `${availableParallelism()} cores (${model}), ${memory} GiB, Linux ${release()}, Node ${process.version}`,
    `load at the start ${load.join(" ")}; a busy loop got ${Math.round(ownShare() * 100)} % of a core`,
  ];
}

/** Below 1, others use the machine, and every figure is worse than the program's own. */
function ownShare(): number {
  const before = process.cpuUsage();
  const begun = performance.now();
  while (performance.now() - begun < SPIN_MS);
  const { user, system } = process.cpuUsage(before);
  return Math.min(1, (user + system) / 1000 / (performance.now() - begun));
}
