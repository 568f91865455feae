/** Answers, and the memory that they lie in. */
import { expect, test } from "vitest";
import { Acceptance } from "../../src/link/acceptance.ts";
import type { Outbound } from "../../src/link/protocol.ts";
import { detach } from "./detached.ts";

/** Calls that wait for their answers, each with a ticket of its own. */
function calls(count: number) {
  const tickets = Array.from({ length: count }, () => ({}));
  const left = [...tickets];
  const outbound = { ticket: () => left.shift(), takeDelivered: () => [] } as unknown as Outbound;
  const acceptance = new Acceptance(outbound);
  const waits = tickets.map(() => acceptance.wait("answered", undefined) as Promise<Buffer[]>);
  return { acceptance, tickets, waits };
}

test("an answer that lies in one chunk with others cannot be transferred, and the others stay", async () => {
  const { acceptance, tickets, waits } = calls(2);
  const chunk = Buffer.from(new Uint8Array(Buffer.from("onetwothree")).buffer);
  acceptance.answered(tickets[0] as never, [chunk.subarray(0, 3)]);
  acceptance.answered(tickets[1] as never, [chunk.subarray(3, 6), chunk.subarray(6)]);
  const answers = (await Promise.all(waits)).flat();
  for (const answer of answers) expect(() => detach(answer)).toThrow("transfer");
  expect(answers.map(String)).toEqual(["one", "two", "three"]);
});

test("an answer that has its memory to itself can be", async () => {
  const { acceptance, tickets, waits } = calls(1);
  acceptance.answered(tickets[0] as never, [Buffer.from(new ArrayBuffer(5))]);
  const [answer] = (await waits[0]) as [Buffer];
  detach(answer);
  expect(answer).toHaveLength(0);
});
