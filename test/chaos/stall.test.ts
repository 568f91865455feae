// A lossless stall: the unplugged cable that is plugged in again. Nothing gets through, and nothing is lost.
import { describe, expect, test } from "vitest";

import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("a stall that ends before anybody is sure: the same connection goes on", async () => {
    await using talk = await converse({ client: { keepalive: { pingAfterMs: 60_000, suspectAfterMs: 60_000 } } });
    await talk.exchange(50);
    const stall = await talk.proxy.toxic("bandwidth", { rate: 0 }, { stream });
    const exchanged = talk.exchange(200);
    await talk.toServer.send(talk.link, 1);
    await stall.remove();
    await exchanged;
    expect(talk.states.filter(({ to }) => to === "connected")).toHaveLength(1);
    await talk.finish();
  });

  test("a stall that lasts: suspect, a standby is dialled, and nothing is lost or doubled", async () => {
    await using talk = await converse({ client: { keepalive: { pingAfterMs: 500, suspectAfterMs: 250 } } });
    await talk.exchange(50);
    const suspect = turned(talk.link, "suspect");
    const stall = await talk.proxy.toxic("bandwidth", { rate: 0 }, { stream });
    const exchanged = talk.exchange(200);
    await suspect;
    await stall.remove();
    await exchanged;
    await talk.finish();
  });
});
