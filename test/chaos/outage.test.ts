// Nobody can connect for longer than the keepalive waits, and what is sent meanwhile waits too.
import { expect, test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

test("an outage longer than the keepalive: what was sent meanwhile arrives afterwards", async () => {
  await using talk = await converse({ client: { keepalive: { pingAfterMs: 300, suspectAfterMs: 200 } } });
  await talk.exchange(50);
  const offline = turned(talk.link, "reconnecting");
  await talk.proxy.down();
  await offline;
  const exchanged = talk.exchange(200);
  // Three attempts fail before the path is back.
  for (let attempt = 0; attempt < 3; attempt++) await turned(talk.link, "reconnecting");
  const back = turned(talk.link, "connected");
  await talk.proxy.up();
  await Promise.all([back, exchanged]);
  expect(talk.states.filter(({ to }) => to === "connecting").length).toBeGreaterThanOrEqual(4);
  await talk.finish();
});
