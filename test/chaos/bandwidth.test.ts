// A path that is much narrower than what is sent.
import { describe, expect, test } from "vitest";

import { converse } from "./support/conversation.ts";

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("256 KB/s: large messages take their time, and nobody is suspected", async () => {
    await using talk = await converse({ proxy: { latencyMs: 0 }, sizeOf: () => 100_000 });
    await talk.proxy.toxic("bandwidth", { rate: 256 }, { stream });
    await talk.exchange(8);
    expect(talk.states.map(({ to }) => to)).toEqual(["connecting", "connected"]);
    await talk.finish();
  });
});
