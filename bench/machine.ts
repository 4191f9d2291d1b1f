/** What the figures were taken on, and who else was at work; they mean little without it. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** Kernel ticks, a hundred to the second: of the machine, and of this process with its children. */
interface Ticks {
  readonly all: number;
  readonly idle: number;
  readonly own: number;
}

export class Machine {
  readonly #load = loadavg().map((each) => each.toFixed(1));
  readonly #before = ticks();

  facts(): string[] {
    const model = cpus()[0]?.model ?? "unknown";
    const memory = Math.round(totalmem() / 2 ** 30);
    const cores = availableParallelism();
    return [
      `${cores} cores (${model}), ${memory} GiB, Linux ${release()}, Node ${process.version}`,
      `load at the start ${this.#load.join(" ")}; other programs used ${this.#othersPercent()} % of the cores meanwhile`,
    ];
  }

  #othersPercent(): number {
    const now = ticks();
    const all = now.all - this.#before.all;
    const idle = now.idle - this.#before.idle;
    const own = now.own - this.#before.own;
    return Math.round((Math.max(0, all - idle - own) / Math.max(1, all)) * 100);
  }
}

function ticks(): Ticks {
  const machine = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/\s+/).slice(1, 9);
  const counts = machine.map(Number);
  const self = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  // utime, stime, and those of children that have ended.
  const own = self.slice(11, 15).map(Number);
  return { all: sum(counts), idle: counts[3]! + counts[4]!, own: sum(own) };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
