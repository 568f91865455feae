// Plain links: bytes vanish in one direction and nobody says so. Only the probe finds out.
import { expect, test } from "vitest";

import { turned } from "../support.ts";
import { type PlainTalk, talkPlainly } from "./support/plain-talk.ts";

const KEEPALIVE = { pingAfterMs: 100, deadAfterMs: 300 };

test("what vanishes on the way to the server is in doubt, and lost", async () => {
  await using talk = await talkPlainly({ client: { keepalive: KEEPALIVE }, plain: { requests: {} } });
  await fallSilent(talk, "upstream");
  const { maybe } = await talk.finish();
  expect(maybe.lost).toBeGreaterThan(0);
});

test("what the server has, and its answer vanishes, is in doubt as well", async () => {
  await using talk = await talkPlainly({ client: { keepalive: KEEPALIVE }, plain: { requests: {} } });
  await fallSilent(talk, "downstream");
  const { maybe } = await talk.finish();
  expect(maybe.there).toBeGreaterThan(0);
});

async function fallSilent(talk: PlainTalk, stream: "upstream" | "downstream"): Promise<void> {
  await talk.during(async () => {
    await talk.read(200);
    const lost = turned(talk.link, "reconnecting");
    // Drops what passes; removing it closes the connections that went through it.
    const hole = await talk.proxy.toxic("timeout", { timeout: 0 }, { stream });
    expect((await lost).reason).toBe("probe-unanswered");
    await hole.remove();
    await talk.read(200);
  });
}
