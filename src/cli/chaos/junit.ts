/** The figures as JUnit's XML, which the systems that run tests read. */
import { markup } from "./markup.ts";
import { type ChaosFigures, endedEarly } from "./figures.ts";

/** One test for the run's end, one for each promise, and one for each kind of fault that was made. */
export function junit(figures: ChaosFigures, exitCode: number): string {
  const seconds = (figures.tookMs / 1_000).toFixed(3);
  const promises = (["lost", "doubled", "reordered"] as const).flatMap((what) => {
    const count = figures[what];
    if (count === null) return [];
    return { name: `no message is ${what}`, failure: count === 0 ? undefined : `${count} of ${figures.sent}` };
  });
  const recoveries = figures.kinds.map(({ kind, times, failed }) => ({
    name: `each ${kind} is recovered from`,
    failure: failed === 0 ? undefined : `${failed} of ${times} without a recovery`,
  }));
  const run = {
    name: "the run comes to its end",
    failure: endedEarly(figures, exitCode)
      ? `it ended early, with ${exitCode}`
      : figures.errors.join("; ") || undefined,
  };
  const cases = [run, ...promises, ...recoveries];
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
