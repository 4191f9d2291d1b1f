/**
 * A vitest reporter that says which test files deserve a second run, alone: those that fail on
 * a machine that has too much to do, not those that find a bug. It writes their names to the
 * file $SECOND_CHANCE, one a line, and says loudly why.
 *
 * 1. Only files that run real processes are tried again; logic gives the same answer twice.
 * 2. Many failures, and errors outside of tests, are no accident: then nothing is tried again.
 */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

const REAL_PROCESSES = /^test\/(?:cli|e2e|faults|gateway|kernel|sandbox|storage|vault)\//;
const MAX_FILES = 5;

/** Of the failed files, those to run again: all of them or none. */
export function secondChance(
  failedFiles: readonly string[],
  unhandledErrors: number,
): readonly string[] {
  const isAccident =
    unhandledErrors === 0 &&
    failedFiles.length <= MAX_FILES &&
    failedFiles.every((file) => REAL_PROCESSES.test(file));
  return isAccident ? failedFiles : [];
}

export default class SecondChance implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const failed = modules.filter((module) => module.state() === "failed");
    const names = failed.map((module) => module.relativeModuleId);
    const again = secondChance(names, unhandledErrors.length);
    if (again.length === 0) return;
    writeFileSync(process.env["SECOND_CHANCE"]!, `${again.join("\n")}\n`);
    console.log(`\n!!! ${again.length} FAILED AND WILL RUN ONCE MORE, ALONE:`);
    for (const module of failed) {
      console.log(`!!! ${module.relativeModuleId}`);
      for (const part of [module, ...module.children.allSuites()])
        for (const { message } of part.errors()) console.log(`!!!   ${firstLine(message)}`);
      for (const test of module.children.allTests("failed"))
        console.log(`!!!   ${test.fullName}: ${firstLine(test.result().errors?.[0]?.message)}`);
    }
  }
}

const firstLine = (text = ""): string => text.split("\n", 1)[0]!;
