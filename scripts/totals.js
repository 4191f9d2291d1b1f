/**
 * Prints `N passed, N failed` from a vitest JSON report: `totals.js REPORT [SECOND]`. The second
 * is of a run of the files that failed in the first, and counts in their place. Runs under any Node.
 */
import { readFileSync } from "node:fs";

const [first, second] = process.argv.slice(2).map((file) => {
  const text = readFileSync(file, "utf8");
  return text === "" ? undefined : JSON.parse(text);
});

const isOf = (status) => (test) => test.status === status;

/** A file that could not be loaded has no tests of its own, and is a failure all the same. */
const brokenFiles = (report) =>
  report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some(isOf("failed")),
  ).length;

/** What the runner counted, without the files that another run counts anew. */
function countOf(report, recounted) {
  const again = report.testResults.filter(({ name }) => recounted.has(name));
  const rest = report.testResults.filter(({ name }) => !recounted.has(name));
  const tests = again.flatMap((file) => file.assertionResults);
  return {
    passed: report.numPassedTests - tests.filter(isOf("passed")).length,
    failed:
      report.numFailedTests -
      tests.filter(isOf("failed")).length +
      brokenFiles({ testResults: rest }),
  };
}

if (first === undefined) {
  console.log("0 passed, 1 failed");
} else {
  const again = new Set(second?.testResults.map(({ name }) => name));
  const counts = [countOf(first, again), ...(second ? [countOf(second, new Set())] : [])];
  const sum = (what) => counts.reduce((total, count) => total + count[what], 0);
  const needed = again.size === 0 ? "" : `, ${again.size} needed a second run`;
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${needed}`);
}
