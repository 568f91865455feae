/** Messages that arrived before their client went, under virtual time. */
import { expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import { failure } from "../support.ts";
import { HandConnection, plainSessions } from "./plain-servers.ts";

/** A server with one link, whose client has said two lines and is gone. `before`: what the link has done by then. */
async function abandoned(handler: (link: Link) => void | Promise<void>, before: (link: Link) => void = () => {}) {
  const { clock, sessions } = plainSessions();
  sessions.handler = handler;
  const line = new HandConnection();
  sessions.accept(line);
  const [link] = sessions.open;
  await clock.advance(0);
  line.handler.onData(Buffer.from("one\ntwo\n"));
  before(link as Link);
  await clock.advance(0);
  line.handler.onClosed("ECONNRESET");
  await clock.advance(0);
  return { clock, sessions, link: link as Link };
}

test("that nobody reads: the link ends after a minute", async () => {
  const { clock, sessions, link } = await abandoned(() => {});
  await clock.advance(59_000);
  expect([link.state, sessions.connections, sessions.stats().bufferBytes > 0]).toEqual(["draining", 0, true]);
  await clock.advance(2_000);
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  expect([sessions.connections, sessions.stats().bufferBytes]).toEqual([0, 0]);
});

test("that are read one by one, a minute apart but for a second: all of them", async () => {
  const { clock, link } = await abandoned(() => {});
  await clock.advance(59_000);
  expect(String(await link.receive())).toBe("one");
  await clock.advance(59_000);
  expect(String(await link.receive())).toBe("two");
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
});

test("that a pending handler may come to: it has ten minutes", async () => {
  const gate = Promise.withResolvers<void>();
  const read: string[] = [];
  const { clock, link } = await abandoned(async (served) => {
    await gate.promise;
    for await (const message of served) read.push(String(message));
  });
  await clock.advance(590_000);
  expect(link.state).toBe("draining");
  gate.resolve();
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  expect(read).toEqual(["one", "two"]);
});

test("that a handler takes which only sends, and is at work: the link ends with the connection", async () => {
  const { link, sessions } = await abandoned(async (served) => {
    served.onMessage(() => {});
    await new Promise(() => {});
  });
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  expect(sessions.connections).toBe(0);
});

test("of a handler that waits for the end of its link: that comes after ten minutes", async () => {
  const { clock, sessions, link } = await abandoned(async (served) => {
    await served.closed;
  });
  await clock.advance(601_000);
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  expect(sessions.stats().bufferBytes).toBe(0);
});

test("meanwhile flush() rejects if messages are in doubt, though they have no byte, and not if there are none", async () => {
  const { link } = await abandoned(
    () => {},
    (served) => void served.trySend(""),
  );
  expect((await failure(link.flush())).code).toBe("LINK_ENDED");
  const other = await abandoned(() => {});
  await other.link.flush();
});

test("meanwhile the server closes, and its deadline passes: the link ends as its connection did", async () => {
  const { clock, sessions, link } = await abandoned(() => new Promise(() => {}));
  const changes: string[] = [];
  link.on("state", ({ to, reason }) => void changes.push(`${to}: ${reason}`));
  const drained = sessions.drain({ deadlineMs: 1_000 });
  await clock.advance(2_000);
  await drained;
  expect(changes).toEqual(["closed: connection-lost"]);
  expect(await link.closed).toMatchObject({ error: { code: "CONNECTION_LOST" } });
});
