// A laptop's lid is closed for longer than a server waits with the defaults: two minutes.
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { converse, UNAVAILABLE } from "./support/conversation.ts";

describe.skipIf(UNAVAILABLE)("asleep for more than two minutes", () => {
  test("the server gives up the connection and keeps the session: it is resumed", { timeout: 180_000 }, async () => {
    const talk = await converse();
    const givenUp = talk.server.becomes("reconnecting");
    const asleepMs = talk.did("client asleep");
    talk.client.stop();
    const gaveUpMs = (await givenUp).atMs - asleepMs;
    await lasts(2_000);
    const back = talk.client.becomes("connected");
    talk.did("client awake");
    talk.client.go();
    await back;
    await talk.isHeard();
    expect(gaveUpMs).toBeGreaterThan(119_000);
    expect(gaveUpMs).toBeLessThan(130_000);
    expect(await talk.finish()).toEqual({
      client: [expect.stringMatching(/^reconnecting/u), expect.stringMatching(/^connecting/u), "connected (resumed)"],
      server: ["suspect (no evidence)", "reconnecting (silent)", "connected (resumed)"],
    });
  });
});
