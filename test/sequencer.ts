import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take longest. They begin first, so that the two workers end at about the same time. */
const LONG = [
  "chaos/soak",
  "chaos/latency",
  "chaos/load",
  "cli/pipe/pipe",
  "sim/seeds",
  "sim/tooling",
  "hostile/hostile",
];

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      LONG.some((name) => moduleId.endsWith(`/test/${name}.test.ts`));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
