// A TLS link: the cut takes the TLS session with it, and the next one is as good.
import { test } from "vitest";

import { certificate } from "../certificate.ts";
import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

test("a TLS link survives cuts", async () => {
  const { key, cert } = await certificate();
  await using talk = await converse({ client: { tls: { ca: cert } }, server: { tls: { key, cert } } });
  await talk.exchange(100);
  for (let round = 0; round < 4; round++) {
    const resumed = turned(talk.link, "connected");
    const exchanged = talk.exchange(300);
    await talk.proxy.cut();
    await Promise.all([resumed, exchanged]);
  }
  await talk.finish();
});
