import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take longest, in this order. They begin first, so that the two workers end at about the same time. */
const LONG = [
  "chaos/soak",
  "chaos/every-byte",
  "chaos/latency",
  "chaos/load",
  "cli/pipe/pipe",
  "hostile/hostile",
  "fuzz/fuzz",
  "cli/demo/demo",
  "sim/tooling",
  "sim/seeds",
];

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at === -1 ? LONG.length : at;
    };
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
