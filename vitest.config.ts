import { defineConfig } from "vitest/config";

const SOAK = "test/soak/**/*.test.ts";

export default defineConfig({
  test: {
    // Tests clean up after themselves, so workers are shared: far faster than one per file.
    isolate: false,
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
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
