/** kill -9 of the kernel between any two steps of a rollout. */
import { test } from "vitest";
import { killRollouts, type Kill } from "../faults/rollout-generations.ts";

const promoted: readonly Kill[] = [
  ["promote", "adopted", 1, "old"],
  ["promote", "recorded", 1, "new"],
  ["promote", "decided", 1, "new"],
  ["promote", "adopted", 2, "new"],
  ["promote", "decided", 2, "new"],
  ["promote", "recorded", 3, "new"],
];
const aborted: readonly Kill[] = [
  ["abort", "decided", 1, "old"],
  ["abort", "adopted", 2, "old"],
  ["abort", "recorded", 2, "old"],
];

test.for([
  ["goes on", promoted],
  ["goes on back when it was aborted", aborted],
] as const)(
  "the rollout %s, every slot runs a known revision with its own state, and nothing acknowledged is lost",
  ([what, kills]) => killRollouts(what, kills),
);
