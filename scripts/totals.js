/** Prints `N passed, N failed` from a vitest JSON report. Runs under any Node. */
import { readFileSync } from "node:fs";

const text = readFileSync(process.argv[2], "utf8");
if (text === "") {
  console.log("0 passed, 1 failed");
} else {
  const report = JSON.parse(text);
  // A file that could not be loaded has no tests of its own, and is a failure all the same.
  const brokenFiles = report.testResults.filter(
    (file) =>
      file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  const failed = report.numFailedTests + brokenFiles.length;
  console.log(`${report.numPassedTests} passed, ${failed} failed`);
}
