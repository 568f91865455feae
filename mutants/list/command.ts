/** The package as it is loaded, and the command. */
import type { Mutant } from "../mutant.ts";

const VERSIONS = ["test/node-version.test.ts"];
const ARGUMENTS = ["test/cli/arguments.test.ts"];
const PROTECTION = ["test/cli/pipe/protection.test.ts"];
const CHAOS_FIGURES = ["test/cli/chaos/figures.test.ts"];
const CHAOS_HTML = ["test/cli/chaos/html.test.ts"];
const SCHEDULE = ["test/cli/chaos/schedule.test.ts"];
const DEMO = ["test/cli/demo/demo.test.ts"];
const VIEW = ["test/cli/demo/view.test.ts"];

export const COMMAND: readonly Mutant[] = [
  {
    name: "a gap of another fault",
    rule: "a fault has the gaps that its own time touches",
    file: "src/cli/chaos/figures.ts",
    find: "fromMs < overMs && fromMs + ms > madeMs",
    replace: "fromMs < overMs",
    tests: CHAOS_FIGURES,
  },
  {
    name: "a report that lets markup in",
    rule: "values in a report are text",
    file: "src/cli/chaos/markup.ts",
    find: ".replaceAll(/[&<>\"']/gu, (character) => ESCAPED[character] as string)",
    replace: "",
    tests: CHAOS_HTML,
  },
  {
    name: "a report that praises what ended early",
    rule: "a run that did not come to its end is said to have failed",
    file: "src/cli/chaos/figures.ts",
    find: "exitCode !== 0 && isWhole(figures)",
    replace: "exitCode === 0 && isWhole(figures)",
    tests: CHAOS_HTML,
  },
  {
    name: "JUnit hears nothing of a loss",
    rule: "what was lost is a test that failed",
    file: "src/cli/chaos/junit.ts",
    find: "figures[what] === 0 ? undefined",
    replace: "figures[what] <= figures.sent ? undefined",
    tests: CHAOS_HTML,
  },
  {
    name: "a schedule that never ends",
    rule: "without repeat the faults of a schedule are made once",
    file: "src/cli/chaos/schedule.ts",
    find: "if (this.#at === this.#steps.length && this.#isRepeated)",
    replace: "if (this.#at === this.#steps.length)",
    tests: SCHEDULE,
  },
  {
    name: "a field of a schedule that means nothing",
    rule: "a schedule with a name that is none is refused",
    file: "src/cli/chaos/schedule.ts",
    find: "const unknown = Object.keys(rest).find(",
    replace: "const unknown = Object.keys([]).find(",
    tests: SCHEDULE,
  },
  {
    name: "gaps without number",
    rule: "at most 10,000 gaps are kept",
    file: "src/cli/demo/receiver.ts",
    find: "if (this.#gaps.length <= MOST_GAPS) return;",
    replace: "if (this.#gaps.length > 0) return;",
    tests: DEMO,
  },
  {
    name: "an old Node is not told",
    rule: "on a Node that is too old the import fails",
    file: "src/supported-node.ts",
    find: "if (reason !== undefined) throw",
    replace: "if (reason === null) throw",
    tests: ["test/supported-node.test.ts"],
  },
  {
    name: "the first Node 22 is new enough",
    rule: "Node 22.12 is the first that can require() ES modules",
    file: "src/node-version.ts",
    find: "(major === 22 && minor >= 12)",
    replace: "(major === 22 && minor >= 11)",
    tests: VERSIONS,
  },
  {
    name: "Node 23 is too old",
    rule: "each later major version is new enough",
    file: "src/node-version.ts",
    find: "major > 22 ||",
    replace: "major > 23 ||",
    tests: VERSIONS,
  },
  {
    name: "a zone is a word",
    rule: "the zone of an IPv6 address is the name of an interface, which may have dots",
    file: "src/cli/address.ts",
    find: "(%[^\\s/%]+)?$/i",
    replace: "(%\\w+)?$/i",
    tests: ["test/cli/address.test.ts"],
  },
  {
    name: "files without --tls do nothing",
    rule: "each option of TLS turns TLS on",
    file: "src/cli/arguments.ts",
    find: 'const isOn = values["tls"] === true || [cert, ca, servername].some((given) => given !== undefined);',
    replace: 'const isOn = values["tls"] === true || cert !== undefined;',
    tests: ARGUMENTS,
  },
  {
    name: "a certificate without its key",
    rule: "a certificate and its key are given together",
    file: "src/cli/arguments.ts",
    find: "if ((cert === undefined) !== (key === undefined)) {",
    replace: "if (false) {",
    tests: ARGUMENTS,
  },
  {
    name: "a --ca that lets everyone in",
    rule: "a listener with --ca asks for certificates",
    file: "src/cli/pipe/protection.ts",
    find: "requestCert: pems.ca !== undefined",
    replace: "requestCert: false",
    tests: PROTECTION,
  },
  {
    name: "each token will do",
    rule: "a client is let in with the same token only",
    file: "src/cli/pipe/protection.ts",
    find: "isSameSecret(credentials, token) ?",
    replace: "isSameSecret(token, token) || credentials.length > 0 ?",
    tests: PROTECTION,
  },
  {
    name: "a token is read once",
    rule: "a client reads its token anew for each attempt",
    file: "src/cli/pipe/protection.ts",
    find: "credentials: () => readToken(tokenFile)",
    replace: "credentials: await readToken(tokenFile)",
    tests: PROTECTION,
  },
  {
    name: "an empty token",
    rule: "a file without a token is no token",
    file: "src/cli/files.ts",
    find: 'if (token === "") throw',
    replace: "if (token === null) throw",
    tests: PROTECTION,
  },
  {
    name: "what was not measured has never stopped",
    rule: "a fault whose recovery was not measured is told from one that stopped nothing",
    file: "src/cli/chaos/figures.ts",
    find: '"recovered" : outcome,',
    replace: '"recovered" : "never-stopped",',
    tests: CHAOS_FIGURES,
  },
  {
    name: "a fault and its recovery in one row",
    rule: "a row of the demo fits into 60 columns",
    file: "src/cli/demo/view.ts",
    find: "fault.padEnd(28)",
    replace: "fault.padEnd(32)",
    tests: VIEW,
  },
];
