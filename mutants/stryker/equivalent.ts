/** What Stryker changes without any test noticing, one by one, and why none could. */

export interface Equivalent {
  file: string;
  /** The line as it stands in the file. */
  line: string;
  original: string;
  replacement: string;
  why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    file: "src/core/wire/faults.ts",
    line: "#received = -1;",
    original: "-1",
    replacement: "+1",
    why: "no session has the empty id that stands beside it, so it is never looked at before it is set",
  },
  {
    file: "src/core/wire/faults.ts",
    line: "#acked = -1;",
    original: "-1",
    replacement: "+1",
    why: "as above",
  },
  {
    file: "src/core/session/timers.ts",
    line: "for (const due of this.#dueMs) if (due < next) next = due;",
    original: "due < next",
    replacement: "due <= next",
    why: "of two that are equal either is the least",
  },
  {
    file: "src/core/log/sender.ts",
    line: "else if (payloadBytes === 0) return;",
    original: "payloadBytes === 0",
    replacement: "false",
    why: "to append nothing changes no position; it is left out since it might take a block",
  },
  {
    file: "src/core/log/sender.ts",
    line: "if (this.sentNow > this.highestSent) this.#raiseHighestSent();",
    original: "this.sentNow > this.highestSent",
    replacement: "this.sentNow >= this.highestSent",
    why: "to raise it to where it is, and to count to where was counted, changes nothing",
  },
  {
    file: "src/core/log/sender.ts",
    line: 'if (this.log.mode === "messages") this.#writtenMessages = this.log.countTo(this.#written);',
    original: 'this.log.mode === "messages"',
    replacement: "true",
    why: "a byte stream has no messages: it counts none",
  },
  {
    file: "src/core/log/sender.ts",
    line: "if (accepted <= this.acked) return;",
    original: "accepted <= this.acked",
    replacement: "accepted < this.acked",
    why: "to accept what was accepted releases nothing",
  },
  {
    file: "src/core/log/sender.ts",
    line: 'if (endKind !== "none" && durable > endAt) this.end(endKind);',
    original: 'endKind !== "none"',
    replacement: "true",
    why: "without an end `endAt` is infinite, so that nothing is above it; only the compiler needs the comparison",
  },
  {
    file: "src/core/log/window.ts",
    line: "if (less > 0) this.#account.hold(-less);",
    original: "less > 0",
    replacement: "less >= 0",
    why: "to hold 0 bytes less changes nothing",
  },
];
