/** The figures as JUnit's XML, which the systems that run tests read. */
import { markup } from "./markup.ts";
import { type ChaosFigures, endedEarly } from "./figures.ts";

/** One test for the run's end, and one for each promise. */
export function junit(figures: ChaosFigures, exitCode: number): string {
  const seconds = (figures.tookMs / 1_000).toFixed(3);
  const promises = (["lost", "doubled", "reordered"] as const).map((what) => ({
    name: `no message is ${what}`,
    failure: figures[what] === 0 ? undefined : `${figures[what]} of ${figures.sent}`,
  }));
  const run = {
    name: "the run comes to its end",
    failure: endedEarly(figures, exitCode)
      ? `it ended early, with ${exitCode}`
      : figures.errors.join("; ") || undefined,
  };
  const cases = [run, ...promises];
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites><testsuite name="resplice chaos" tests="${cases.length}" failures="${failures}" time="${seconds}" timestamp="${figures.madeAt}">`,
    ...cases.map(({ name, failure }) =>
      failure === undefined
        ? markup`<testcase classname="resplice.chaos" name="${name}"/>`
        : markup`<testcase classname="resplice.chaos" name="${name}"><failure message="${failure}"/></testcase>`,
    ),
    "</testsuite></testsuites>",
    "",
  ].join("\n");
}
