// Plain links: a path that is slow and narrow in both directions is not a dead one, and a cut on it takes more along.
import { expect, test } from "vitest";

import { talkPlainly } from "./support/plain-talk.ts";

test("latency and a narrow path: nothing is given up, and nothing is in doubt before the cut", async () => {
  await using talk = await talkPlainly({
    proxy: { latencyMs: 150 },
    client: { keepalive: { pingAfterMs: 50, deadAfterMs: 2_000 } },
    plain: { requests: { maxInFlight: 100 } },
    sizeOf: () => 500,
  });
  for (const stream of ["upstream", "downstream"] as const)
    await talk.proxy.toxic("bandwidth", { rate: 256 }, { stream });
  await talk.during(() => talk.read(300));
  expect([talk.link.stats().reconnects, talk.link.stats().undelivered["connection-lost"]]).toEqual([0, 0]);
  await talk.during(async () => {
    await talk.cut();
    await talk.read(100);
  });
  const { maybe } = await talk.finish();
  expect(maybe.there + maybe.lost).toBeGreaterThan(10);
});
