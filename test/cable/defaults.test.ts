// As users have it who set nothing.
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { connect, converse, NOTICED, UNAVAILABLE } from "./support/conversation.ts";

describe.skipIf(UNAVAILABLE)("with the defaults", () => {
  test.for([
    // Within 2 to 4 s without progress, or within 4 to 5 s of a PING that is sent after 15 s of silence: a server after 45.
    ["both talk", converse, 1_900, 4_500, NOTICED],
    ["nobody says anything", connect, 18_000, 20_500, []],
  ] as const)("%s, and the plug is pulled: suspect in time, and back", async ([, begin, leastMs, mostMs, server]) => {
    const talk = await begin();
    const suspect = talk.client.becomes("suspect");
    const pulledMs = talk.did("pulled");
    await talk.cable.server.pull();
    const noticedMs = (await suspect).atMs - pulledMs;
    await lasts(3_000);
    const back = talk.client.becomes("connected");
    talk.did("plugged in");
    await talk.cable.server.plug();
    await back;
    await talk.talk();
    await talk.isHeard();
    expect(noticedMs).toBeGreaterThan(leastMs);
    expect(noticedMs).toBeLessThan(mostMs);
    expect(await talk.finish()).toEqual({ client: NOTICED, server });
  });
});
