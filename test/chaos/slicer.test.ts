// The path cuts the stream into tiny pieces.
import { describe, test } from "vitest";

import { converse } from "./support/conversation.ts";

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  test("pieces of a few bytes are put together again", async () => {
    await using talk = await converse({ sizeOf: (number) => (number % 7) * 40 });
    await talk.proxy.toxic("slicer", { average_size: 7, size_variation: 6, delay: 10 }, { stream });
    await talk.exchange(200);
    await talk.finish();
  });
});
