// The path is there, but not for this connection any more: the client has another address, or what stands between has
// forgotten it. Nobody says so, and only a new connection can help.
import { describe, expect, test } from "vitest";

import { connect, converse, expectSilences, KNOWS_NOBODY, UNAVAILABLE, WATCHFUL } from "./support/conversation.ts";

describe.skipIf(UNAVAILABLE)("only new connections get through", () => {
  test("the client's address is another one: it comes back from there", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const back = talk.client.becomes("connected");
    talk.did("another address");
    await talk.cable.client.readdress(3);
    await back;
    await talk.isHeard();
    expect((await talk.server.order({ order: "rest" })).peerAddress).toBe(talk.cable.client.address);
    const { client, server } = await talk.finish();
    expect(client).toEqual(["suspect (no evidence)", "connected (standby)"]);
    // It may have noticed as well.
    expectSilences(server, 0);
  });

  test.for([
    ["while both talk", converse],
    ["while nobody says anything", connect],
  ] as const)("a NAT forgets, %s: a new connection takes over", async ([, begin]) => {
    const talk = await begin({ keepalive: WATCHFUL });
    const back = talk.client.becomes("connected");
    talk.did("forgotten");
    await talk.cable.client.filter({ in: KNOWS_NOBODY, out: KNOWS_NOBODY });
    await back;
    await talk.talk();
    await talk.isHeard();
    expect(await talk.cable.client.struck()).toBeGreaterThan(0);
    const { client, server } = await talk.finish();
    expect(client).toEqual(["suspect (no evidence)", "connected (standby)"]);
    // It may have noticed as well.
    expectSilences(server, 0);
  });
});
