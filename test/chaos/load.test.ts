// Traffic both ways under random cuts.
import { setTimeout as pause } from "node:timers/promises";

import { expect, test } from "vitest";

import { converse } from "./support/conversation.ts";

const CUTS = 25;

test("a quarter of a minute of traffic both ways under random cuts", async () => {
  await using talk = await converse({ sizeOf: (number) => (number % 50) * 20 });
  await talk.exchange(10);
  const stop = new AbortController();
  const serverLink = await talk.serverLink;
  const sending = [talk.toServer.sendUntil(talk.link, stop.signal), talk.toClient.sendUntil(serverLink, stop.signal)];
  for (let cut = 0; cut < CUTS; cut++) {
    await pause(200 + 800 * Math.random());
    await talk.proxy.cut();
  }
  stop.abort();
  await Promise.all(sending);
  await talk.finish();
  expect(talk.states.filter(({ to }) => to === "connected").length).toBeGreaterThan(10);
});
