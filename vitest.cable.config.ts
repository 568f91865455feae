import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** It sleeps for two minutes: the others have come to their end by then. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith("/asleep.test.ts");
    return files.toSorted(
      (a, b) => Number(isLongest(b)) - Number(isLongest(a)) || a.moduleId.localeCompare(b.moduleId),
    );
  }
}

// A file of its own: these tests need a kernel that lets them have networks, so they are no part of `npm test`.
export default defineConfig({
  test: {
    name: "cable",
    include: ["test/cable/**/*.test.ts"],
    globalSetup: ["test/cable/support/setup.ts"],
    testTimeout: 60_000,
    // Each test has a cable of its own, and most of them wait most of the time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // What the links went through is told as it is.
    disableConsoleIntercept: true,
  },
});
