/** kill -9 of the kernel in a rollout; test/chaos has every step, in every one of its phases. */
import { test } from "vitest";
import { killRollouts, type Kill } from "./rollout-generations.ts";

const promoted: readonly Kill[] = [
  ["promote", "adopted", 1, "old"],
  ["promote", "decided", 1, "new"],
  ["promote", "recorded", 3, "new"],
];
const aborted: readonly Kill[] = [["abort", "recorded", 2, "old"]];

test.concurrent.for([
  ["goes on", promoted],
  ["goes on back when it was aborted", aborted],
] as const)(
  "the rollout %s, every slot runs a known revision with its own state, and nothing acknowledged is lost",
  ([what, kills]) => killRollouts(what, kills),
);
