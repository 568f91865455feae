/** Messages that arrived before their client went, under virtual time. */
import { expect, onTestFinished, test } from "vitest";
import { type Link, lines, plain } from "../../src/index.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { resolvePlainServerOptions } from "../../src/server/plain-options.ts";
import { PlainSessions } from "../../src/server/plain-sessions.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";

/** A connection that a client has opened. */
class Line implements Connection {
  handler: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress = "192.0.2.1";
  readonly roomBytes = 65_536;
  readonly pendingBytes = 0;
  write(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** A server with one link, whose client has said two lines and is gone. */
async function abandoned(handler: (link: Link) => void | Promise<void>) {
  const clock = new VirtualTime();
  const sessions = new PlainSessions(resolvePlainServerOptions({ protocol: plain({ framing: lines() }) }), {
    clock,
    entropy: SYSTEM_ENTROPY,
    journal: new Journal(),
    onHandlerFailed: () => {},
    hearsHandlerErrors: () => false,
    onEnded: () => {},
    mayLinger: () => true,
  });
  onTestFinished(() => {
    sessions.stop();
    clock.stop();
  });
  sessions.handler = handler;
  const line = new Line();
  sessions.accept(line);
  const [link] = sessions.open;
  await clock.advance(0);
  line.handler.onData(Buffer.from("one\ntwo\n"));
  line.handler.onClosed("ECONNRESET");
  await clock.advance(0);
  return { clock, sessions, link: link as Link };
}

test("that nobody reads: the link ends after a minute", async () => {
  const { clock, sessions, link } = await abandoned(() => {});
  await clock.advance(59_000);
  expect([link.state, sessions.connections, sessions.stats().bufferBytes > 0]).toEqual(["draining", 1, true]);
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

test("that a handler at work may come to: for as long as it takes", async () => {
  const gate = Promise.withResolvers<void>();
  const read: string[] = [];
  const { clock, link } = await abandoned(async (served) => {
    await gate.promise;
    for await (const message of served) read.push(String(message));
  });
  await clock.advance(600_000);
  expect(link.state).toBe("draining");
  gate.resolve();
  expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  expect(read).toEqual(["one", "two"]);
});
