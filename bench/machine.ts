/** What the figures were taken on; they mean little without it. */
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

export function machineFacts(): string[] {
  const load = loadavg().map((each) => each.toFixed(1));
  return [
    `${availableParallelism()} cores (${cpus()[0]?.model ?? "unknown"}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
    `load at the start ${load.join(" ")} (what else ran on this machine slows every figure)`,
  ];
}
