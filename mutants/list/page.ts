/** The live page: who may see it, what it is told, and what it costs. */
import type { Mutant } from "../mutant.ts";

const ANSWERS = ["test/monitor/answers.test.ts"];
const LIVE = ["test/monitor/live/live-page.test.ts"];
const VIEWER = ["test/monitor/live/viewer.test.ts"];
const BOOK = ["test/monitor/live/link-book.test.ts"];
const BAND = ["test/monitor/live/band.test.ts"];
const HAPPENINGS = ["test/monitor/live/happenings.test.ts"];
const WATCH = ["test/monitor/live/watch.test.ts"];
const PATCH = ["test/monitor/live/patch.property.test.ts"];
const MONITOR = ["test/monitor/monitor-live.test.ts"];

export const PAGE: readonly Mutant[] = [
  {
    name: "events for a page of another site",
    rule: "the stream of events is for the live page only",
    file: "src/monitor/answers.ts",
    find: 'site !== "same-origin" && site !== "none"',
    replace: 'site === "cross-origin"',
    tests: ANSWERS,
  },
  {
    name: "a page that loads from anywhere",
    rule: "the page has a security policy",
    file: "src/monitor/live/files.ts",
    find: "\"default-src 'none'\"",
    replace: '"default-src *"',
    tests: ANSWERS,
  },
  {
    name: "events without a security policy",
    rule: "each part of the page has a security policy",
    file: "src/monitor/answers.ts",
    find: '"text/event-stream; charset=utf-8", ...ALWAYS, ...OF_PAGE',
    replace: '"text/event-stream; charset=utf-8", ...ALWAYS',
    tests: ANSWERS,
  },
  {
    name: "viewers without end",
    rule: "there are eight viewers at most",
    file: "src/monitor/live/live-page.ts",
    find: "return this.#viewers.size >= MOST_VIEWERS;",
    replace: "return this.#viewers.size >= 1_000;",
    tests: LIVE,
  },
  {
    name: "a viewer gives way to requests",
    rule: "viewers have places of their own",
    file: "src/monitor/monitor.ts",
    find: "      this.#sockets.delete(request.socket);\n      response.writeHead",
    replace: "      response.writeHead",
    tests: MONITOR,
  },
  {
    name: "a watch that never ends",
    rule: "nothing is collected while nobody watches",
    file: "src/monitor/live/live-page.ts",
    find: "if (this.#viewers.size > 0 || this.#watch === undefined) return;\n    this.#linger",
    replace: "if (this.#viewers.size >= 0) return;\n    this.#linger",
    tests: LIVE,
  },
  {
    name: "a watch that ends though somebody watches",
    rule: "a viewer that comes back soon finds what was there",
    file: "src/monitor/live/live-page.ts",
    find: '    response.on("error", () => {});\n    realTime.clearTimeout(this.#linger);\n',
    replace: '    response.on("error", () => {});\n',
    tests: LIVE,
  },
  {
    name: "records are heard after the watch",
    rule: "nothing is heard while nobody watches",
    file: "src/telemetry/journal.ts",
    find: "this.#readers.filter((each) => each !== reader)",
    replace: "this.#readers.filter((each) => each === each)",
    tests: WATCH,
  },
  {
    name: "a cut is told at the next second",
    rule: "a change of state is told within a tenth of a second",
    file: "src/monitor/live/watch.ts",
    find: "if (isTold || record.event",
    replace: "if (isTold && record.event",
    and: { find: '=== "link.recovered") this.#host', replace: '!== "link.state") this.#host' },
    tests: LIVE,
  },
  {
    name: "a backlog for a slow viewer",
    rule: "a viewer that does not read is told nothing",
    file: "src/monitor/live/viewer.ts",
    find: "this.#sink.writableLength > MOST_WAITING_BYTES",
    replace: "this.#sink.writableLength > Infinity",
    tests: VIEWER,
  },
  {
    name: "a patch for what was never told",
    rule: "a viewer that was told nothing gets the whole again",
    file: "src/monitor/live/viewer.ts",
    find: "      this.#told = undefined;\n      return;",
    replace: "      return;",
    tests: VIEWER,
  },
  {
    name: "all viewers in one turn",
    rule: "each viewer is told in a turn of its own",
    file: "src/monitor/live/live-page.ts",
    find: "    this.#turn = realTime.setImmediate(() => this.#tellNext()).unref();",
    replace: "    this.#tellNext();",
    tests: LIVE,
  },
  {
    name: "all links in one turn",
    rule: "links are looked at in pieces",
    file: "src/monitor/live/watch.ts",
    find: "realTime.now() + PIECE_MS",
    replace: "realTime.now() + 60_000",
    tests: WATCH,
  },
  {
    name: "a link that ends is counted twice",
    rule: "each link is counted once while all are looked at",
    file: "src/monitor/live/link-book.ts",
    find: "    const { ended } = this.#observed.telemetry.withoutLinks;\n    const sums = newSums(ended);\n    const links = [...(this.#observed.links?.() ?? [])];",
    replace:
      "    const links = [...(this.#observed.links?.() ?? [])];\n    yield;\n    const { ended } = this.#observed.telemetry.withoutLinks;\n    const sums = newSums(ended);",
    tests: BOOK,
  },
  {
    name: "an attempt that fails is a cut",
    rule: "a cut is the loss of a connection in use",
    file: "src/monitor/live/link-book.ts",
    find: '(from === "connected" || from === "suspect") && to === "reconnecting"',
    replace: 'from !== to && to === "reconnecting"',
    tests: BOOK,
  },
  {
    name: "links that have ended stay",
    rule: "a link that has ended is shown for a while",
    file: "src/monitor/live/link-book.ts",
    find: "endedMs < untilMs || at < excess",
    replace: "endedMs < 0 || at < excess",
    tests: BOOK,
  },
  {
    name: "all links that have ended are kept for a while",
    rule: "of links that have ended a hundred are shown",
    file: "src/monitor/live/link-book.ts",
    find: "endedMs < untilMs || at < excess",
    replace: "endedMs < untilMs",
    tests: BOOK,
  },
  {
    name: "an identity as its client has written it",
    rule: "text of a peer is escaped",
    file: "src/monitor/live/link-book.ts",
    find: 'printable(link.identity ?? (typeof destination === "string" ? destination : ""), MOST_TEXT)',
    replace: '(link.identity ?? (typeof destination === "string" ? destination : ""))',
    tests: BOOK,
  },
  {
    name: "a band without end",
    rule: "a band has forty changes at most",
    file: "src/monitor/live/band.ts",
    find: "this.#spans.length > 2 * MOST_CHANGES",
    replace: "this.#spans.length > Infinity",
    tests: BAND,
  },
  {
    name: "a band forgets the state that it begins with",
    rule: "the state at the beginning of the band stays",
    file: "src/monitor/live/band.ts",
    find: "(spans[2] as number) < fromMs",
    replace: "(spans[0] as number) < fromMs",
    tests: BAND,
  },
  {
    name: "words for all that happens",
    rule: "of very much in a second only the number is told",
    file: "src/monitor/live/happenings.ts",
    find: "if (this.#inSecond > MOST_IN_A_SECOND) return false;",
    replace: "if (this.#inSecond > Infinity) return false;",
    tests: HAPPENINGS,
  },
  {
    name: "a patch does not say what is gone",
    rule: "a patch has null for what is gone",
    file: "src/monitor/live/patch.ts",
    find: "if (from[name] !== undefined && to[name] === undefined) put(name, null);",
    replace: "if (from[name] === undefined && to[name] !== undefined) put(name, null);",
    tests: PATCH,
  },
];
