// One direction is dead and the other one works. Nobody can connect, but who hears something may believe that all is well.
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { converse, NOTICED, UNAVAILABLE, WATCHFUL } from "./support/conversation.ts";

describe.skipIf(UNAVAILABLE).for(["client", "server"] as const)("nothing reaches the %s", (end) => {
  test("noticed, and back when the way is open again", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const suspect = talk.client.becomes("suspect");
    talk.did("one way closed");
    await talk.cable[end].filter({ in: "meta l4proto tcp counter drop" });
    await suspect;
    await lasts(3_000);
    // The client has sent SYNs again and again. What it hears of them, or the server does, is all that is lost.
    expect(await talk.cable[end].struck()).toBeGreaterThan(3);
    const back = talk.client.becomes("connected");
    talk.did("open again");
    await talk.cable[end].unfilter();
    await back;
    await talk.isHeard();
    expect(await talk.finish()).toEqual({ client: NOTICED, server: NOTICED });
  });
});
