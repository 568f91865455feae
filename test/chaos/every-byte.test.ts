// A cut after every single byte of the opening handshake, and of a resume, in both directions.
import { describe, expect, test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

/** More than HELLO takes with its header; WELCOME and what follows it are shorter. */
const LAST_BYTE = 200;
const AT_ONCE = 25;

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("cut after each byte of the opening handshake: one link, nothing lost", async () => {
    await inBatches(async (bytes) => {
      let heal = async (): Promise<void> => {};
      await using talk = await converse({
        client: { reconnect: { minDelayMs: 10 } },
        prepare: async (proxy) => {
          const limit = await proxy.toxic("limit_data", { bytes }, { stream });
          heal = () => limit.remove();
        },
      });
      // Enough both ways that the limit is reached.
      const answering = talk.serverLink.then((serverLink) => talk.toClient.send(serverLink, 3));
      const sending = talk.toServer.send(talk.link, 3);
      await turned(talk.link, "reconnecting");
      await heal();
      await Promise.all([sending, answering]);
      await talk.exchange(3);
      expect(talk.serverLinks()).toBe(1);
      await talk.finish();
    });
  });

  test("cut after each byte of a resume: the session goes on", async () => {
    await inBatches(async (bytes) => {
      await using talk = await converse({ client: { reconnect: { minDelayMs: 10 } } });
      await talk.exchange(3);
      const limit = await talk.proxy.toxic("limit_data", { bytes }, { stream });
      const offline = turned(talk.link, "reconnecting");
      const exchanged = talk.exchange(5);
      await talk.proxy.cut();
      await offline;
      await turned(talk.link, "reconnecting");
      await limit.remove();
      await exchanged;
      await talk.finish();
    });
  });
});

async function inBatches(one: (bytes: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < LAST_BYTE; from += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => one(from + n)));
  }
}
