import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongFirst } from "./test/sequencer.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// No project sets `retry`: a test that passes on the second attempt has found something.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^resplice$/, replacement: here("./src/index.ts") },
      { find: /^resplice\/testing$/, replacement: here("./src/testing/index.ts") },
    ],
  },
  test: {
    maxWorkers: 2,
    globalSetup: ["test/compile-cache.ts"],
    // Files share a process and its modules: a process for each would take half as long as all tests.
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["**/node_modules/**", "test/sim/**", "test/chaos/**", "test/cable/**"],
          setupFiles: ["test/properties.ts"],
          // Some run processes: a busy machine takes twenty times as long as a quiet one.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "sim",
          include: ["test/sim/**/*.test.ts"],
          testTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          globalSetup: ["test/chaos/support/setup.ts"],
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
