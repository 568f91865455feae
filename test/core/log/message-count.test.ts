import { expect, test } from "vitest";
import { type Block, PREFIX_BYTES } from "../../../src/core/log/blocks.ts";
import { MessageCount } from "../../../src/core/log/message-count.ts";

/** A block full of messages with payloads of these sizes. */
function block(start: number, sizes: readonly number[]): Block {
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + PREFIX_BYTES + size, 0));
  let at = 0;
  for (const size of sizes) {
    bytes.writeUInt32BE(size, at);
    at += PREFIX_BYTES + size;
  }
  const used = bytes.length;
  return { bytes, memoryBytes: used, used, start, isOurs: true, messages: sizes.length, firstMessage: start };
}

/** Messages begin at 0, 10, 20; 30, 40; 50. */
function blocks(): Block[] {
  return [block(0, [6, 6, 6]), block(30, [6, 6]), block(50, [6])];
}

test("a message counts from its first byte on", () => {
  const all = blocks();
  const count = new MessageCount();
  const counted = [0, 1, 10, 11, 20, 30, 31, 49, 50, 51, 60].map((position) => count.countTo(position, all, 60));
  expect(counted).toEqual([0, 1, 1, 2, 2, 3, 4, 5, 5, 6, 6]);
});

test("messages that come later are counted, in the block that was reached too", () => {
  const count = new MessageCount();
  expect(count.countTo(20, [block(0, [6, 6])], 20)).toBe(2);
  const more = [block(0, [6, 6, 6]), block(30, [6])];
  expect([count.countTo(20, more, 40), count.countTo(21, more, 40), count.countTo(40, more, 40)]).toEqual([2, 3, 4]);
});

test("messages in blocks that are removed count, whether the count had come there or not", () => {
  for (const before of [0, 15, 30, 35]) {
    const all = blocks();
    const count = new MessageCount();
    count.countTo(before, all, 60);
    count.drop(all, 2);
    all.splice(0, 2);
    expect([count.countTo(50, all, 60), count.countTo(60, all, 60)]).toEqual([5, 6]);
  }
});

test("what was counted stays when all blocks are removed", () => {
  const count = new MessageCount();
  count.countTo(35, blocks(), 60);
  count.clear();
  expect([count.countTo(60, [], 60), count.countTo(70, [block(60, [6])], 70)]).toEqual([4, 5]);
});
