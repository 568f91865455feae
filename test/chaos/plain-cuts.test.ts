// Plain links: the proxy closes the connection, with FIN or RST, in the middle of messages and answers, again and again.
import { describe, expect, test } from "vitest";

import { type PlainTalk, talkPlainly } from "./support/plain-talk.ts";

describe.for(["FIN", "RST"] as const)("cut with %s", (how) => {
  const proxy = { resettable: how === "RST" };

  test("what was answered is there, what was not sent is not, and the rest is in doubt", async () => {
    await using talk = await talkPlainly({ proxy, plain: { requests: {} } });
    await cutUnderLoad(talk);
    const { delivered, maybe } = await talk.finish();
    expect(delivered).toBeGreaterThan(50);
    expect(maybe.there + maybe.lost).toBeGreaterThan(0);
  });

  test("without answers everything that was written is in doubt", async () => {
    await using talk = await talkPlainly({ proxy });
    await cutUnderLoad(talk);
    const { delivered, maybe, untold } = await talk.finish();
    expect(delivered + untold).toBe(0);
    expect(maybe.there).toBeGreaterThan(50);
    expect(maybe.lost).toBeGreaterThan(0);
  });
});

test("what does not fit into inDoubtBytes is only counted", async () => {
  await using talk = await talkPlainly({ plain: { inDoubtBytes: 10_000 } });
  await cutUnderLoad(talk);
  const { maybe, untold } = await talk.finish();
  expect(untold).toBeGreaterThan(0);
  expect(maybe.lost).toBeGreaterThan(0);
});

test("with resendInFlight everything arrives, some of it twice", async () => {
  await using talk = await talkPlainly({ proxy: { resettable: true }, plain: { requests: {}, resendInFlight: true } });
  await cutUnderLoad(talk);
  const { maybe, twice } = await talk.finish();
  expect(maybe).toEqual({ there: 0, lost: 0 });
  expect(twice).toBeGreaterThan(0);
});

async function cutUnderLoad(talk: PlainTalk): Promise<void> {
  await talk.during(async () => {
    for (let round = 0; round < 5; round++) {
      await talk.read(200);
      await talk.cut();
    }
  });
}
