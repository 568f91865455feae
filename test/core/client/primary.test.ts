import { expect, test } from "vitest";
import { Primary } from "../../../src/core/client/primary.ts";
import { Channel } from "../../../src/core/session/channel.ts";

const channel = (id: number): Channel => new Channel(id, 0, 0);

test("the newest connection is the one that waits for an answer, until it is cleared", () => {
  const primary = new Primary();
  expect(primary.channel).toBe(undefined);
  for (const id of [1, 2]) primary.opened(channel(id), false);
  expect(primary.channel?.id).toBe(2);
  primary.clear();
  expect(primary.channel).toBe(undefined);
});

test("a reason is that of a refusal on the same connection", () => {
  const primary = new Primary();
  primary.opened(channel(1), false);
  primary.reason = "expired";
  primary.opened(channel(2), false);
  expect(primary.reason).toBe("");
});

test("one connection is dialled to tell the server of a reset, or none where a HELLO is unanswered", () => {
  const primary = new Primary();
  primary.opened(channel(1), false);
  expect(primary.mayTellReset).toBe(true);
  primary.opened(channel(2), true);
  expect(primary.mayTellReset).toBe(false);
  const waiting = new Primary();
  waiting.opened(channel(1), false);
  waiting.tellsReset();
  expect(waiting.mayTellReset).toBe(false);
});
