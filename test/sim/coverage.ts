/** What must have occurred, if all of it is to be tested. Lists that the core has as data or types are taken from there. */
import type { FaultCode } from "../../src/core/wire/faults.ts";
import { REFUSE_CODES } from "../../src/core/wire/frames.ts";
import { LIMIT_NAMES } from "../../src/core/server/handshake-table.ts";
import type { Outcome } from "../../src/core/session/link-events.ts";
import { LINK_TRANSITIONS, SESSION_TRANSITIONS } from "../../src/core/states.ts";
import { FAULT_KINDS, TRAPPED } from "./fault-kinds.ts";
import type { Side } from "./parameters.ts";

export type Counts = Map<string, number>;

export function addCounts(to: Counts, counts: Iterable<readonly [string, number]>): void {
  for (const [what, times] of counts) to.set(what, (to.get(what) ?? 0) + times);
}

/** Which end can find the other at fault so. A code that is new does not compile before it is here. */
const FAULT_CODES: Record<FaultCode, readonly Side[]> = {
  "bad-frame": ["client", "server"],
  oversized: ["client", "server"],
  gap: ["client", "server"],
  "beyond-credit": ["client", "server"],
  "impossible-position": ["client", "server"],
  "wrong-proof": ["server"],
};

export function isFaultCode(text: string): boolean {
  return Object.hasOwn(FAULT_CODES, text);
}

/** Which end's application can hear of it. */
const OUTCOMES: Record<Outcome, readonly Side[]> = {
  closed: ["client", "server"],
  "session-lost": ["client", "server"],
  expired: ["server"],
  "taken-over": ["client"],
  "authentication-refused": ["client"],
  mismatch: ["client"],
  "protocol-error": ["client", "server"],
  "peer-aborted": ["client", "server"],
  "peer-handler-failed": ["client", "server"],
  "peer-close-timeout": ["client", "server"],
  aborted: ["client", "server"],
  "handler-failed": ["client", "server"],
  "close-timeout": ["client", "server"],
  "gave-up": ["client"],
  // Only of a plain link at a server.
  "connection-lost": [],
};

/** What is no state, and yet a way of its own through the protocol. */
const WAYS: readonly string[] = [
  "dial primary late",
  "dial standby late",
  ...["new opened", "new session-lost", "new moved", "resumed resumed", "resumed standby"].map(
    (how) => `client connected ${how}`,
  ),
  "client disconnected without a fault",
  "client was told why it is refused",
  "client shed",
  "server refused a client that was shed",
  "silence after speech was noticed",
  ...["was sent", "was under way already", "had no connection"].map((how) => `ping ${how}`),
  ...["client", "server"].map((end) => `silence after a ping was noticed by the ${end}`),
  ...["session-lost", "too-large", "moved"].map((why) => `client replaced ${why}`),
  ...["cut", "handshake timed out", "session expired"].map((why) => `client attempt-failed ${why}`),
  ...["new", "resumed", "standby"].map((why) => `link connected ${why}`),
  "link closed fenced by a newer connection",
  "server closed handshake timed out",
  "server closed reset before it was confirmed",
  "server closed replaced by a newer standby",
  "server gave-way",
  "server restored",
  ...["resume kept", "resume taken", "resume unknown", "resume unavailable", "commit kept"].map(
    (how) => `store: ${how}`,
  ),
  "server attached a late connection",
  "server left",
  ...["reached", "nobody", "unreachable"].map((how) => `forward: ${how}`),
  "server sent a client elsewhere that had come back meanwhile",
  "restored a session that was live",
  "restored a session that was done",
  "handed out again after a restart",
  "commit refused",
  "fenced",
  "forgot",
  "handed",
  "reported maybe",
  "reported not-sent",
  "a call was told of its loss",
  ...["overflow", "expired", "conflated"].map((why) => `dropped ${why}`),
  "a message overtook another",
];

/** Of a byte stream in small pieces, see `LinkCore.receiveNow()` and `transmitNow()`; and what the core left to the long way. */
const SHORT_WAY: readonly string[] = [
  "a chunk was passed on, without a step",
  "a chunk was passed on, then a step",
  "a chunk was not passed on",
  "a piece was written at once",
  "all that was said was written at once, without a step",
  "an ACK was written with a piece",
  "a piece was not written at once",
];

/** Only a plain link closes a connection that is old, or not used. */
export function ofDurableLinks(what: string): boolean {
  return !what.includes("idle") && what !== "link connected, dial: connecting";
}

function transitions(what: string, table: Readonly<Record<string, Readonly<Record<string, string>>>>): string[] {
  return Object.entries(table).flatMap(([from, inputs]) =>
    Object.entries(inputs).map(([input, to]) => `${what} ${from}, ${input}: ${to}`),
  );
}

const GROUPS: ReadonlyArray<readonly [string, readonly string[]]> = [
  ["faults", FAULT_KINDS.map((kind) => `fault ${kind}`)],
  ["traps that were sprung", TRAPPED.map((frame) => `trapped ${frame}`)],
  ["transitions of a link", transitions("link", LINK_TRANSITIONS).filter(ofDurableLinks)],
  ["transitions of a session", transitions("session", SESSION_TRANSITIONS)],
  [
    "protocol errors",
    Object.entries(FAULT_CODES).flatMap(([code, sides]) => sides.map((side) => `${code} seen by the ${side}`)),
  ],
  ["turned away", LIMIT_NAMES.map((limit) => `turned away by ${limit}`)],
  ["refusals", Object.keys(REFUSE_CODES).map((code) => `server refused ${code}`)],
  [
    "outcomes",
    Object.entries(OUTCOMES).flatMap(([outcome, sides]) =>
      sides.map((side) => `${side === "client" ? "client" : "link"} ended ${outcome}`),
    ),
  ],
  ["ways", WAYS],
  ["the short way", SHORT_WAY],
];

/** What never occurred. */
export function missing(counts: Counts): string[] {
  return GROUPS.flatMap(([, expected]) => expected.filter((what) => !counts.has(what)));
}

/** How often each occurred. */
export function coverageTable(counts: Counts): string {
  const row = (what: string): string => `${(counts.get(what) ?? 0).toLocaleString("en").padStart(14)}  ${what}`;
  return GROUPS.map(([title, expected]) => `${title}:\n${expected.map(row).join("\n")}`).join("\n");
}
