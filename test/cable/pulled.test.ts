// A plug is pulled and put back. At the end where it was pulled the system knows, and refuses new connections at once; the
// other end only hears nothing any more.
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { converse, NOTICED, UNAVAILABLE, WATCHFUL } from "./support/conversation.ts";

describe.skipIf(UNAVAILABLE).for(["client", "server"] as const)("at the %s's end", (end) => {
  test("for less than the keepalive: the same connection goes on", async () => {
    const talk = await converse({ keepalive: { ...WATCHFUL, suspectAfterMs: 5_000 } });
    const pulledMs = talk.did("pulled for 500 ms");
    await talk.cable[end].pullFor(500);
    await talk.isHeard();
    expect(talk.silenceMs(pulledMs)).toBeGreaterThan(400);
    expect(await talk.finish()).toEqual({ client: [], server: [] });
  });

  test("for longer than the keepalive: suspect, and back when it is plugged in", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const suspect = talk.client.becomes("suspect");
    const pulledMs = talk.did("pulled");
    await talk.cable[end].pull();
    await suspect;
    await lasts(3_000);
    const back = talk.client.becomes("connected");
    talk.did("plugged in");
    await talk.cable[end].plug();
    await back;
    await talk.isHeard();
    expect(talk.silenceMs(pulledMs)).toBeGreaterThan(3_000);
    expect(await talk.finish()).toEqual({ client: NOTICED, server: NOTICED });
  });
});
