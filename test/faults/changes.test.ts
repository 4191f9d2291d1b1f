/** Everything that may happen to a changing service, at once; test/soak has many more. */
import { expect, test } from "vitest";
import { runModel } from "./change-model.ts";

test.each([432, 446, 462])(
  "what seed %i brings loses nothing that was acknowledged, and reorders and doubles nothing",
  async (seed) => {
    const heard: string[] = [];
    const problems = await runModel({ seed, operations: 8, say: (text) => heard.push(text) });
    expect(problems, heard.join("\n")).toEqual([]);
  },
);
