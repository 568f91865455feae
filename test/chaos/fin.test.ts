// The proxy closes the connection with FIN, in the middle of traffic both ways, again and again.
import { test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

test("cut with FIN, every message arrives once and in order", async () => {
  await using talk = await converse();
  await talk.exchange(100);
  for (let round = 0; round < 5; round++) {
    const resumed = turned(talk.link, "connected");
    const exchanged = talk.exchange(500);
    await talk.proxy.cut();
    await Promise.all([resumed, exchanged]);
  }
  await talk.finish();
});
