// A process stands still, and its kernel goes on: connections are accepted and bytes taken, and nobody answers.
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import { connect, converse, expectSilences, NOTICED, UNAVAILABLE, WATCHFUL } from "./support/conversation.ts";

/** Within its patience; beyond it, yet not so long that a link knows that it slept; and so long. */
const LENGTHS_MS = [1_500, 2_500, 4_500];

describe.skipIf(UNAVAILABLE)("longer than the keepalive", () => {
  test("the server is stopped: suspect, and back when it goes on", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const suspect = talk.client.becomes("suspect");
    const stoppedMs = talk.did("server stopped");
    talk.server.stop();
    await suspect;
    await lasts(4_000);
    const back = talk.client.becomes("connected");
    talk.did("server goes on");
    talk.server.go();
    await back;
    await talk.isHeard();
    expect(talk.silenceMs(stoppedMs)).toBeGreaterThan(4_000);
    expect(await talk.finish()).toEqual({ client: NOTICED, server: [] });
  });

  test("the client is stopped: it was asleep, and suspects nobody; its server suspects it", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    for (const ms of LENGTHS_MS) {
      const stoppedMs = talk.did(`client stopped for ${ms} ms`);
      talk.client.stop();
      await lasts(ms);
      talk.client.go();
      await talk.isHeard();
      expect(talk.silenceMs(stoppedMs)).toBeGreaterThan(0.9 * ms);
    }
    const { client, server } = await talk.finish();
    expect(client).toEqual([]);
    expectSilences(server, 1);
  });

  test("both are stopped, as a host stops its machines: the client was asleep, and suspects nobody", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const stoppedMs = talk.did("both stopped for 4.5 s");
    // The client has something under way that the server does not answer any more.
    talk.server.stop();
    await lasts(100);
    talk.client.stop();
    await lasts(4_500);
    talk.client.go();
    talk.server.go();
    await talk.isHeard();
    expect(talk.silenceMs(stoppedMs)).toBeGreaterThan(4_000);
    // The server was stopped first: it may have a message under way whose time was over just now.
    const { client, server } = await talk.finish();
    expect(client).toEqual([]);
    expectSilences(server, 0);
  });

  test("the server's event loop is busy: suspect, and back when it is not", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    const suspect = talk.client.becomes("suspect");
    const back = talk.client.becomes("connected");
    const busyMs = talk.did("server busy for 4 s");
    await talk.server.order({ order: "block", ms: 4_000 });
    talk.did("server idle");
    await Promise.all([suspect, back]);
    await talk.isHeard();
    expect(talk.silenceMs(busyMs)).toBeGreaterThan(3_600);
    expect(await talk.finish()).toEqual({ client: NOTICED, server: [] });
  });

  test("the client's event loop is busy: it suspects nobody; its server suspects it", async () => {
    const talk = await converse({ keepalive: WATCHFUL });
    for (const ms of LENGTHS_MS) {
      const busyMs = talk.did(`client busy for ${ms} ms`);
      await talk.client.order({ order: "block", ms });
      await talk.isHeard();
      expect(talk.silenceMs(busyMs)).toBeGreaterThan(0.9 * ms);
    }
    const { client, server } = await talk.finish();
    expect(client).toEqual([]);
    expectSilences(server, 1);
  });

  test("the client's event loop is busy for too short to tell: the answer that came meanwhile counts", async () => {
    const talk = await connect({ keepalive: { pingAfterMs: 60_000, suspectAfterMs: 1_000 } });
    talk.did("client busy for 1500 ms, and the only message under way");
    await talk.client.order({ order: "block", ms: 1_500 });
    await talk.talk();
    await talk.isHeard();
    expect(await talk.finish()).toEqual({ client: [], server: [] });
  });
});
