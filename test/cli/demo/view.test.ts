// Rows for people fit into 60 columns, with the longest figures that there may be.
import { expect, onTestFinished, test } from "vitest";
import { type Fault, FAULT_KINDS, FaultPlan, type Outcome } from "../../../src/cli/demo/faults.ts";
import type { Live } from "../../../src/cli/demo/traffic.ts";
import { describe, FaultBook } from "../../../src/cli/demo/report.ts";
import { strike } from "./strikes.ts";
import { faultLine, LiveView, PlainView } from "../../../src/cli/demo/view.ts";

const OUTCOMES: readonly Outcome[] = [59_999, "never-stopped", "not-measured", "none"];
const LIVE: Live = {
  state: "reconnecting",
  sent: 99_999_999,
  received: 99_999_999,
  inFlightBytes: 999_999_999,
  rttMs: 12_345.6,
};

/** As the plan draws them: some of each kind. */
function faults(): Fault[] {
  const plan = new FaultPlan(1);
  const drawn = Array.from({ length: 500 }, () => plan.take().fault);
  expect(new Set(drawn.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  return drawn;
}

function filled(): FaultBook {
  const book = new FaultBook();
  for (const fault of faults().filter(({ kind }, at, all) => at === all.findIndex((other) => other.kind === kind))) {
    for (let count = 0; count < 9_999; count++) book.made(strike(fault, count === 0 ? 59_999 : "not-measured"));
  }
  return book;
}

function wide(text: string): string[] {
  return text.split("\n").filter((line) => line.length > 60);
}

test("a line for each fault", () => {
  const lines: string[] = [];
  const view = new PlainView((text) => lines.push(text));
  for (const fault of faults()) for (const outcome of OUTCOMES) view.end(fault, outcome);
  expect(lines).toHaveLength(2_000);
  expect(wide(lines.join(""))).toEqual([]);
});

test("the line of a fault says what came of it", () => {
  expect(OUTCOMES.map((outcome) => faultLine(12_345, "stall 804 ms", outcome))).toEqual([
    "  12.3 s stall 804 ms                 recovered in 59,999 ms",
    "  12.3 s stall 804 ms                 never stopped",
    "  12.3 s stall 804 ms                 not measured",
    "  12.3 s stall 804 ms                 no recovery",
  ]);
});

test("the lines that are redrawn", () => {
  let drawn = "";
  const view = new LiveView((text) => (drawn += text), LIVE, filled());
  onTestFinished(() => view.close());
  for (const fault of faults()) {
    view.begin(fault);
    for (const outcome of OUTCOMES) {
      view.end(fault, outcome);
      view.say("");
    }
  }
  const shown = drawn.replaceAll(new RegExp(`${String.fromCodePoint(27)}\\[\\d*[A-Z]`, "gu"), "");
  expect(shown).toMatch(/one-way-black-hole to-client\n +recovered in 59,999 ms/u);
  expect(wide(shown)).toEqual([]);
});

test("the report", () => {
  const tally = { received: 99_999_999, distinct: 0, doubled: 9_999, reordered: 9_999 };
  const result = filled().result({ counted: { sent: 99_999_999, tally } }, 2 ** 32 - 1);
  const report = describe(result, "the fault relay", 86_400_000);
  expect(report).toContain("one-way-black-hole   9,999");
  expect(wide(report)).toEqual([]);
});
