// Cuts in the middle of messages of 1 MiB.
import { test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

test("messages of 1 MiB survive cuts in their middle", async () => {
  await using talk = await converse({ sizeOf: () => 1_048_576 });
  await talk.exchange(1);
  for (let round = 0; round < 4; round++) {
    const resumed = turned(talk.link, "connected");
    const exchanged = talk.exchange(6);
    await talk.toServer.reached(talk.toServer.received + 1);
    await talk.proxy.cut();
    await Promise.all([resumed, exchanged]);
  }
  await talk.finish();
});
