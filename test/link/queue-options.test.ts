import { describe, expect, test } from "vitest";
import { KiB, MiB, type QueueOptions } from "../../src/index.ts";
import { resolveLinkOptions } from "../../src/link/options.ts";
import { refusal } from "../support.ts";

const resolve = (queue: QueueOptions, other: object = {}) => resolveLinkOptions({ queue, ...other }, "client").queue;

test.each<QueueOptions>([{}, { maxMessages: 5 }, { overflow: "wait" }, { whileDisconnected: "queue" }])(
  "%j is no policy",
  (queue) => {
    expect(resolve(queue).policy).toBeUndefined();
  },
);

test("a policy with its defaults", () => {
  const one = { name: "", weight: 1, maxMessages: 10_000, maxBytes: 16 * MiB };
  const policy = { overflow: "wait", ttlMs: Infinity, failAfterMs: Infinity, names: [], classes: [one] };
  expect(resolve({ ttlMs: Infinity }).policy).toMatchObject(policy);
  expect(resolve({ overflow: "conflate" }).policy).toMatchObject({ ...policy, overflow: "conflate" });
  expect(resolve({ ttlMs: 5 }).policy).toMatchObject({ ...policy, ttlMs: 5 });
  expect(resolve({ whileDisconnected: "fail" }).policy).toMatchObject({ ...policy, failAfterMs: 0 });
  expect(resolve({ whileDisconnected: { failAfterMs: 9 } }).policy).toMatchObject({ ...policy, failAfterMs: 9 });
});

test("classes have equal parts of the room, and weights that grow by four", () => {
  const { policy } = resolve({
    maxMessages: 9,
    maxBytes: 12 * MiB,
    priorities: [{ name: "a" }, { name: "b" }, { name: "c" }],
  });
  expect(policy?.names).toEqual(["a", "b", "c"]);
  expect(policy?.classes).toEqual(
    [16, 4, 1].map((weight, at) => ({ name: "abc".charAt(at), weight, maxMessages: 3, maxBytes: 4 * MiB })),
  );
});

test("a class holds at least one message, of the largest", () => {
  const priorities = [{ name: "a" }, { name: "b" }];
  expect(resolve({ maxMessages: 1, maxBytes: MiB + 4, priorities }).policy?.classes).toMatchObject([
    { maxMessages: 1, maxBytes: MiB + 4 },
    { maxMessages: 1, maxBytes: MiB + 4 },
  ]);
});

describe("refused", () => {
  const name = { name: "a" };
  test.each<[string, object]>([
    ["queue.overflow", { overflow: "drop" }],
    ["queue.ttlMs", { ttlMs: 0 }],
    ["queue.ttlMs", { ttlMs: 1.5 }],
    ["queue.ttlMs", { ttlMs: 2 ** 31 }],
    ["queue.whileDisconnected", { whileDisconnected: "drop" }],
    ["queue.whileDisconnected.failAfterMs", { whileDisconnected: {} }],
    ["queue.whileDisconnected.failAfterMs", { whileDisconnected: { failAfterMs: 0 } }],
    ["queue.whileDisconnected.after", { whileDisconnected: { failAfterMs: 5, after: 1 } }],
    ["queue.priorities", { priorities: [] }],
    ["queue.priorities", { priorities: 5 }],
    ["queue.priorities", { priorities: Array.from({ length: 9 }, (_, n) => ({ name: `${n}` })) }],
    ["queue.priorities", { priorities: [name, name] }],
    ["queue.priorities[1].name", { priorities: [name, {}] }],
    ["queue.priorities[0].share", { priorities: [{ ...name, share: 1 }] }],
    ["queue.priorities[0].weight", { priorities: [{ ...name, weight: 0 }] }],
    ["queue.priorities[0].weight", { priorities: [{ ...name, weight: 100_001 }] }],
    ["queue.priorities[0].maxMessages", { priorities: [{ ...name, maxMessages: 10_001 }] }],
    ["queue.priorities[0].maxBytes", { priorities: [{ ...name, maxBytes: 17 * MiB }] }],
    ["queue.priorities[0].maxBytes", { priorities: [{ ...name, maxBytes: 64 * KiB }] }],
  ])("%s of %j", (option, queue) => {
    expect(refusal(() => resolve(queue as QueueOptions))).toMatchObject({
      code: "INVALID_OPTION",
      option: { name: option },
    });
  });

  test('any policy in mode "bytes": a stream cannot lose a part', () => {
    const policies: QueueOptions[] = [
      { overflow: "drop-oldest" },
      { ttlMs: Infinity },
      { priorities: [name] },
      { whileDisconnected: "fail" },
    ];
    for (const queue of policies) {
      expect(refusal(() => resolve(queue, { mode: "bytes" }))).toMatchObject({ option: { name: "queue" } });
    }
  });
});
