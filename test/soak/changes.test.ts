/** The long version of test/faults/changes.test.ts. */
import { expect, test } from "vitest";
import { runModel } from "../faults/change-model.ts";

const SEEDS = 150;

test(`${SEEDS} services that change while everything goes on lose nothing that was acknowledged`, async () => {
  const first = Math.floor(Math.random() * 1e6);
  for (let seed = first; seed < first + SEEDS; seed += 1) {
    const heard: string[] = [];
    const problems = await runModel({ seed, operations: 14, say: (text) => heard.push(text) });
    expect(problems, `seed ${seed}:\n${heard.join("\n")}`).toEqual([]);
  }
});
