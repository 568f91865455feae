// The server is not there yet: the proxy accepts, finds nobody, and closes.
import { expect, test } from "vitest";

import { claimPort } from "../../src/testing/port-claim.ts";
import { turned } from "../support.ts";
import { converse } from "./support/conversation.ts";

test("a link that is opened before its server listens connects when it does", async () => {
  using claim = await claimPort();
  await using talk = await converse({ port: claim.port });
  const sending = talk.toServer.send(talk.link, 100);
  await turned(talk.link, "reconnecting");
  await turned(talk.link, "reconnecting");
  expect(talk.link.state).toBe("reconnecting");
  await talk.listen();
  await sending;
  await talk.exchange(100);
  await talk.finish();
});
