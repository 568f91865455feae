// Traffic both ways for half a minute under random cuts.
import { setTimeout as pause } from "node:timers/promises";

import { expect, test } from "vitest";

import { converse } from "./support/conversation.ts";

const SECONDS = 30;

test("30 s of traffic both ways under random cuts", { timeout: 120_000 }, async () => {
  await using talk = await converse({ sizeOf: (number) => (number % 50) * 20 });
  await talk.exchange(10);
  const stop = AbortSignal.timeout(SECONDS * 1_000);
  const serverLink = await talk.serverLink;
  const sending = [talk.toServer.sendUntil(talk.link, stop), talk.toClient.sendUntil(serverLink, stop)];
  let cuts = 0;
  for (; !stop.aborted; cuts++) {
    await pause(200 + 800 * Math.random());
    await talk.proxy.cut();
  }
  await Promise.all(sending);
  await talk.finish();
  expect(cuts).toBeGreaterThan(10);
});
