// Plain links: the path cuts the stream into tiny pieces, and is cut itself within a message.
import { describe, expect, test } from "vitest";

import { talkPlainly } from "./support/plain-talk.ts";

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("pieces of a few bytes are put together again, and a part of a message is none", async () => {
    await using talk = await talkPlainly({
      plain: { requests: { maxInFlight: 100 } },
      sizeOf: (number) => (number % 7) * 40,
    });
    await talk.proxy.toxic("slicer", { average_size: 7, size_variation: 6, delay: 10 }, { stream });
    await talk.during(async () => {
      for (let round = 0; round < 3; round++) {
        await talk.read(100);
        await talk.cut();
      }
    });
    const { maybe } = await talk.finish();
    expect(maybe.there + maybe.lost).toBeGreaterThan(0);
  });
});
