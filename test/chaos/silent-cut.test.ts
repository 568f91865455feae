// Bytes vanish and nobody says so, as behind a NAT that forgot: the old connection never recovers.
import { describe, expect, test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("a silent hole in one direction: a new connection takes over", async () => {
    await using talk = await converse({ client: { keepalive: { pingAfterMs: 500, suspectAfterMs: 250 } } });
    await talk.exchange(50);
    const suspect = turned(talk.link, "suspect");
    // Drops what passes; removing it closes the connections that went through it.
    const hole = await talk.proxy.toxic("timeout", { timeout: 0 }, { stream });
    const exchanged = talk.exchange(200);
    await suspect;
    await hole.remove();
    await exchanged;
    expect(
      talk.link.stats().reconnects + talk.states.filter(({ reason }) => reason === "standby").length,
    ).toBeGreaterThan(0);
    await talk.finish();
  });
});
