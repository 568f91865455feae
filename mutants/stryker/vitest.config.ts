/** The tests of the modules that Stryker mutates. They need to be fast: each mutant runs those that reach it. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "test/core/{backoff,states}.test.ts",
      "test/core/*/{bytes,evidence,faults,proof,sender,timers,window}{,-*}.test.ts",
    ],
  },
});
