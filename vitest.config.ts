import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Shared by every TypeScript program that a test starts: loading it is most of a short one's time. */
const COMPILE_CACHE = fileURLToPath(new URL("node_modules/.cache/solo-test", import.meta.url));
const SOAK = "test/soak/**/*.test.ts";
const CHAOS = "test/chaos/**/*.test.ts";
/** For a test that hangs, never for one that is slow: far beyond what a busy machine needs. */
const HANGS_MS = 180_000;

/** Begun first, in this order: nobody is to wait for a long file that began last. */
const SLOW = [
  "faults/rollout-killed",
  "faults/kernel-killed",
  "faults/leaks",
  "faults/vault-killed",
  "e2e/attacks",
  "e2e/persistence",
  "e2e/pages",
  "faults/",
  "e2e/",
];

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = SLOW.findIndex((name) => moduleId.includes(`/test/${name}`));
      return at === -1 ? SLOW.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    // Tests clean up after themselves, so workers are shared: far faster than one per file.
    isolate: false,
    pool: "forks",
    maxWorkers: 2,
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE },
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    // A failure that shows what was there is worth more than a short one.
    chaiConfig: { truncateThreshold: 2000 },
    sequence: { sequencer: SlowestFirst },
    coverage: { provider: "v8", include: ["src/**"], reporter: ["text-summary", "html"] },
    projects: [
      {
        extends: true,
        test: { name: "everyday", include: ["test/**/*.test.ts"], exclude: [SOAK, CHAOS] },
      },
      {
        extends: true,
        test: { name: "soak", include: [SOAK], maxWorkers: 1, testTimeout: 1_800_000 },
      },
      {
        extends: true,
        test: { name: "chaos", include: [CHAOS], testTimeout: 1_800_000 },
      },
    ],
  },
});
