import type { About } from "../../../src/cli/chaos/figures.ts";
import type { Gap } from "../../../src/cli/demo/gaps.ts";
import { FaultBook } from "../../../src/cli/demo/report.ts";
import type { Done } from "../../../src/cli/demo/run.ts";

export const ABOUT: About = {
  command: "resplice chaos",
  to: null,
  machine: "a machine",
  resplice: "1.0.0",
  node: "v24.0.0",
};

export interface Given {
  book?: FaultBook;
  gaps?: readonly Gap[];
  samples?: Done["samples"];
  lost?: number;
  errors?: readonly string[];
}

/** A run of ten messages, from 1,000 to 11,000 ms. */
export function done({ book = new FaultBook(), gaps = [], samples = [], lost = 0, errors = [] }: Given): Done {
  const tally = { received: 10 - lost, distinct: 10 - lost, doubled: 0, reordered: 0 };
  const ends = { counted: { sent: 10, tally }, gaps: { all: gaps, leastMs: 20 }, passed: undefined, errors };
  return {
    result: book.result(ends, 7),
    ends,
    strikes: book.strikes,
    samples,
    what: "a <path>",
    startMs: 1_000,
    endMs: 11_000,
  };
}
