/** What `npm run bench -- faults` counts, and the faults that it makes: its figures stand in the documents. */
import type { Mutant } from "../mutant.ts";

const COUNT = "bench/faults/count.ts";
const COUNTED = ["test/bench/faults/count.test.ts"];
const PLAN = "bench/faults/plan.ts";
const PLANNED = ["test/bench/faults/plan.test.ts"];

export const COUNTED_BY_BENCH: readonly Mutant[] = [
  {
    name: "a double that ends a gap",
    rule: "only a message that is new ends a gap",
    file: COUNT,
    find: "      doubled++;\n",
    replace: "      doubled++;\n      lastNewMs = atMs;\n",
    tests: COUNTED,
  },
  {
    name: "a gap that ends with the last arrival",
    rule: "the gap of one who has lost the rest lasts until the last message is made",
    file: COUNT,
    find: "  longestGapMs = Math.round(Math.max(longestGapMs, endedMs - lastNewMs));",
    replace: "  longestGapMs = Math.round(longestGapMs);",
    tests: COUNTED,
  },
  {
    name: "reordered by the one before",
    rule: "a message is reordered if any that was made later has arrived before it",
    file: COUNT,
    find: "    else highest = number;",
    replace: "    highest = number;",
    tests: COUNTED,
  },
  {
    name: "a fault that lasts",
    rule: "a fault of bench is over before the next one",
    file: PLAN,
    find: "      await sleep(holdMs);\n      makeWhole(path);",
    replace: "      await sleep(holdMs);",
    tests: PLANNED,
  },
  {
    name: "one way for all",
    rule: "a one-way fault of bench follows the messages of its contender",
    file: PLAN,
    find: "make: (path, { toReceiver: direction }) => path.blackHole({ direction }),",
    replace: 'make: (path) => path.blackHole({ direction: "to-server" }),',
    tests: PLANNED,
  },
];
