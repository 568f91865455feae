/** Which address is dialled when, and what rests. */
import type { Mutant } from "../mutant.ts";

const RACE = ["test/io/race.test.ts"];
const LOOKUP = ["test/io/lookup.test.ts"];
const PLACE = ["test/client/place.test.ts"];
const CONNECTOR = ["test/client/connector.test.ts"];

export const DIAL: readonly Mutant[] = [
  {
    name: "slow address given up",
    rule: "an address that is slow is not given up for another that may be dead",
    file: "src/io/race.ts",
    find: "this.#timer = clock.timer(() => this.#dialNext());",
    replace:
      "this.#timer = clock.timer(() => {\n      for (const takeBack of this.#running.values()) takeBack();\n      this.#dialNext();\n    });",
    tests: RACE,
  },
  {
    name: "next address too late",
    rule: "the next address is dialled as soon as one fails",
    file: "src/io/race.ts",
    find: "    this.#running.delete(address);\n    this.#dialNext();",
    replace: "    this.#running.delete(address);",
    tests: RACE,
  },
  {
    name: "all addresses at once",
    rule: "an attempt uses at most eight sockets",
    file: "src/io/race.ts",
    find: "this.said.length < MOST_SOCKETS ? this.#waiting.shift() : undefined",
    replace: "this.#waiting.shift()",
    tests: RACE,
  },
  {
    name: "session's address not alone",
    rule: "the address that has the session is dialled alone for a while",
    file: "src/io/race.ts",
    find: "this.said.length === 0 ? Math.max(STAGGER_MS, this.#aloneMs) : STAGGER_MS",
    replace: "STAGGER_MS",
    tests: RACE,
  },
  {
    name: "repeated SYN without a start",
    rule: "a lost SYN costs no session: the repeated one leaves before the first to another address",
    file: "src/client/place.ts",
    find: "4 * (rttMs ?? 0)) + STAGGER_MS",
    replace: "4 * (rttMs ?? 0))",
    tests: PLACE,
  },
  {
    name: "session's address alone for its sake",
    rule: "where no server has a session, no address is dialled alone",
    file: "src/client/connector.ts",
    find: "sessionKnown ? aloneMs(lastRttMs) : 0",
    replace: "aloneMs(lastRttMs)",
    tests: CONNECTOR,
  },
  {
    name: "round trip forgotten",
    rule: "the round trip of a lost connection is known",
    file: "src/core/session/link-core.ts",
    find: "    this.#lastRttMs = this.lastRttMs;\n",
    replace: "",
    tests: ["test/sim/scenarios-opening.test.ts"],
  },
  {
    name: "a lookup for each link",
    rule: "links share the lookup of a name",
    file: "src/io/lookup.ts",
    find: "    if (before !== undefined) return before;\n",
    replace: "",
    tests: LOOKUP,
  },
  {
    name: "lookup for ever",
    rule: "nobody waits for ever for a lookup that does not end",
    file: "src/io/lookup.ts",
    find: "    timer.set(this.#clock.now() + MOST_LOOKUP_MS);\n",
    replace: "",
    tests: LOOKUP,
  },
  {
    name: "EMFILE makes an address rest",
    rule: "a fault of this machine says nothing of an address",
    file: "src/client/place.ts",
    find: "if (!isLocal(error)) this.#rest(address);",
    replace: "this.#rest(address);",
    tests: PLACE,
  },
  {
    name: "silent address does not rest",
    rule: "an address that has not answered when the time was over rests",
    file: "src/client/place.ts",
    find: "for (const each of this.#unanswered) this.#rest(each);",
    replace: "{}",
    tests: PLACE,
  },
  {
    name: "name rests with one address",
    rule: "addresses rest, and not the name while it has others",
    file: "src/client/place.ts",
    find: "this.#known.every((address)",
    replace: "this.#known.some((address)",
    tests: PLACE,
  },
  {
    name: "overloaded server left",
    rule: "a server that has the session, and is overloaded, is dialled again",
    file: "src/client/connector.ts",
    find: 'error.code === "OVERLOADED" && this.#link.core.sessionKnown',
    replace: "false",
    tests: CONNECTOR,
  },
  {
    name: "failures kept for ever",
    rule: "the table of what failed is bounded",
    file: "src/client/resting.ts",
    find: "if (this.#failedMs.size <= MOST_PLACES) return;",
    replace: "return;",
    tests: ["test/client/resting.test.ts"],
  },
];
