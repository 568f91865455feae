/** The short way of small pieces of a byte stream through the core. */
import type { Mutant } from "../mutant.ts";

const SENDER = "src/core/log/sender.ts";
const RECEIVER = "src/core/log/receiver.ts";
const DECODER = "src/core/wire/decoder.ts";
const IN_USE = "src/core/session/connection-in-use.ts";
const SHORT_WAY_CORE = "src/core/session/short-way.ts";
/** What no run of the simulation meets, as its applications read all that they may, and its byte streams are short. */
const UNIT = ["test/core/pieces.test.ts"];

export const SHORT_WAY: readonly Mutant[] = [
  {
    name: "short way beyond the grant",
    rule: "a chunk is passed on only within the credit that the peer was given",
    file: RECEIVER,
    find: "offset !== this.handed || next >= this.grant",
    replace: "offset !== this.handed",
    tests: UNIT,
  },
  {
    name: "short way past what is unread",
    rule: "nothing is passed on before bytes that came earlier and are unread",
    file: RECEIVER,
    find: "offset !== this.received || offset !== this.handed ||",
    replace: "offset !== this.received ||",
    tests: UNIT,
  },
  {
    name: "short way hands out a repeated piece",
    rule: "what has come before is not passed on again",
    file: RECEIVER,
    find: "offset !== this.received || offset !== this.handed ||",
    replace: "",
    tests: UNIT,
  },
  {
    name: "short way beyond every limit",
    rule: "a piece that meets the peer's credit, or the limit of what is in flight, is not written at once",
    file: SENDER,
    find: "sentNow !== log.end || end >= limit",
    replace: "sentNow !== log.end",
    tests: UNIT,
  },
  {
    name: "short way overtakes what was taken before",
    rule: "a piece is written at once only if nothing is left to be written before it",
    file: SENDER,
    find: "sentNow !== log.end || end >= limit",
    replace: "end >= limit",
  },
  {
    name: "short way does not raise highestSent",
    rule: "a piece that is written at once counts as written",
    file: SENDER,
    find: "this.sentNow = end;\n    this.highestSent = end;",
    replace: "this.sentNow = end;",
  },
  {
    name: "short way behind the end",
    rule: "nothing is taken by the short way once the direction has ended",
    file: SENDER,
    find: 'this.ended || this.endKind !== "none" || this.#hasOutbox',
    replace: "this.#hasOutbox",
    tests: UNIT,
  },
  {
    name: "short way before the outbox",
    rule: "what is persisted in an outbox is not written at once",
    file: SENDER,
    find: 'this.endKind !== "none" || this.#hasOutbox',
    replace: 'this.endKind !== "none"',
    tests: UNIT,
  },
  {
    name: "short way owes no ACK in time",
    rule: "for a chunk that was passed on an ACK is due within the ACK delay",
    file: IN_USE,
    find: 'if (!this.#wasAckOwed) this.timers.atLatest("ack", nowMs + ackDelayMs);',
    replace: "",
  },
  {
    name: "short way within a frame",
    rule: "no chunk is passed on while a frame is half read",
    file: DECODER,
    find: "if (this.#stopped || this.#held !== undefined || this.#dataLeft > 0 || this.#skipLeft > 0) return false;",
    replace: "",
    tests: UNIT,
  },
  {
    name: "short way on a connection in takeover",
    rule: "nothing takes the short way before the connection's introduction is over",
    file: SHORT_WAY_CORE,
    find: "if (inUse?.channel.id !== id || !this.isSettled) return undefined;\n    return inUse.transmitNow",
    replace: "if (inUse?.channel.id !== id) return undefined;\n    return inUse.transmitNow",
    tests: ["test/sim/scenarios-data.test.ts"],
  },
  {
    name: "short way splits no piece",
    rule: "a piece that its block in the log has no room for is split",
    file: "src/core/log/log.ts",
    find: "if (block.bytes.length - block.used < bytes) return this.#appendSplit(viewOf(frame, from));",
    replace: "",
  },
];
