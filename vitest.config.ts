import { defineConfig } from "vitest/config";

const SOAK = "test/soak/**/*.test.ts";
/** For a test that hangs, never for one that is slow: far beyond what a busy machine needs. */
const HANGS_MS = 180_000;

export default defineConfig({
  test: {
    // Tests clean up after themselves, so workers are shared: far faster than one per file.
    isolate: false,
    pool: "forks",
    maxWorkers: 2,
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    // A failure that shows what was there is worth more than a short one.
    chaiConfig: { truncateThreshold: 2000 },
    coverage: { provider: "v8", include: ["src/**"], reporter: ["text-summary", "html"] },
    projects: [
      {
        extends: true,
        test: { name: "everyday", include: ["test/**/*.test.ts"], exclude: [SOAK] },
      },
      {
        extends: true,
        test: { name: "soak", include: [SOAK], maxWorkers: 1, testTimeout: 1_800_000 },
      },
    ],
  },
});
