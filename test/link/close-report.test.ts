import { expect, test } from "vitest";
import { type Link, RespliceError, type UndeliveredMessage } from "../../src/index.ts";
import { closeReport } from "../../src/link/close-report.ts";

test("counts the links that ran out of time, and says of each message whose it was", () => {
  const [done, late, lost] = [{ id: "done" }, { id: "late" }, { id: "lost" }] as Link[] as [Link, Link, Link];
  const undelivered = (text: string): UndeliveredMessage[] => [
    { message: Buffer.from(text), delivery: "maybe", position: 1 },
  ];
  expect(
    closeReport([
      [done, { undelivered: [] }],
      [late, { undelivered: undelivered("one"), cutOff: "unread", error: new RespliceError("CLOSE_TIMEOUT", "late") }],
      [lost, { undelivered: undelivered("two"), error: new RespliceError("SESSION_LOST", "lost") }],
    ]),
  ).toEqual({
    left: 1,
    cutOff: [{ link: late, reason: "unread" }],
    undelivered: [
      { link: late, message: Buffer.from("one"), delivery: "maybe", position: 1 },
      { link: lost, message: Buffer.from("two"), delivery: "maybe", position: 1 },
    ],
  });
});
