// Latency below and above the keepalive's patience: a slow path is not a dead one.
import { describe, expect, test } from "vitest";

import { converse } from "./support/conversation.ts";

// They wait most of the time: side by side.
describe.concurrent.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("latency below the keepalive's patience: no suspicion, one connection", async () => {
    await using talk = await converse({ client: { keepalive: { pingAfterMs: 1_000, suspectAfterMs: 1_000 } } });
    await talk.exchange(50);
    await talk.proxy.toxic("latency", { latency: 200, jitter: 50 }, { stream });
    for (let round = 0; round < 5; round++) await talk.exchange(100);
    expect(talk.states.map(({ to }) => to)).toEqual(["connecting", "connected"]);
    await talk.finish();
  });

  test("latency that jumps above the keepalive's patience: suspect perhaps, and nothing lost", async () => {
    await using talk = await converse({ client: { keepalive: { pingAfterMs: 300, suspectAfterMs: 200 } } });
    await talk.exchange(50);
    await talk.proxy.toxic("latency", { latency: 1_500, jitter: 0 }, { stream });
    for (let round = 0; round < 2; round++) await talk.exchange(100);
    expect(talk.serverLinks()).toBe(1);
    await talk.finish();
  });
});

// The defaults, four times as quick: the simulation shows a round trip of 12 s with the defaults themselves.
const QUICK = {
  client: { keepalive: { pingAfterMs: 3_750, suspectAfterMs: 1_250 }, timeouts: { handshakeMs: 1_250 } },
  server: { keepalive: { pingAfterMs: 11_250, suspectAfterMs: 1_250 }, timeouts: { handshakeMs: 15_000 } },
};

test.concurrent("a path with a round trip of more than twice the patience connects, and stays", async () => {
  await using talk = await converse({ ...QUICK, proxy: { latencyMs: 1_500 } });
  await talk.link.connected();
  await talk.exchange(10);
  await talk.exchange(10);
  expect(talk.states.filter(({ to }) => to === "connected")).toHaveLength(1);
  expect(talk.states.some(({ to }) => to === "suspect")).toBe(false);
  await talk.finish();
});
