/** When close() resolves: nothing is left of a client's link then. */
import { Duplex, duplexPair } from "node:stream";
import { describe, expect, test } from "vitest";
import { FORGET_AFTER_MS, TOLD_WITHIN_MS } from "../../src/link/closing.ts";
import { linkPair, type LinkPair } from "../../src/testing/index.ts";
import { isPending, manage, serve } from "../support.ts";

/** Expects that what waits goes on to wait for so many milliseconds, and no longer. */
async function expectLasts({ clock }: LinkPair, waiting: Promise<unknown>, ms: number): Promise<void> {
  await clock.advance(ms - 1);
  expect(await isPending(waiting)).toBe(true);
  await clock.advance(1);
  expect(await isPending(waiting)).toBe(false);
}

/** The path is silent from when the client has closed its link: it does not hear that the server knows of the end. */
function stallsWhenClosed({ client, server, path }: LinkPair): void {
  for (const link of [client, server]) link.onMessage(() => {});
  client.on("state", ({ to }) => {
    if (to === "closed") path.stall();
  });
}

describe("close()", () => {
  test("of a server that is silent: a second after the deadline, in which it may hear of that", async () => {
    await using pair = linkPair();
    pair.path.stall();
    await pair.client.send("never accepted");
    const closing = pair.client.close({ deadlineMs: 2_000 });
    await expectLasts(pair, pair.client.closed, 2_000);
    await expectLasts(pair, closing, TOLD_WITHIN_MS);
    expect(await closing).toMatchObject({ cutOff: "unaccepted", error: { code: "CLOSE_TIMEOUT" } });
    // Nothing is dialled any more.
    pair.path.heal();
    await pair.clock.advance(60_000);
    expect(pair.client.stats().reconnects).toBe(0);
  });

  test("of a server that cannot be reached: at the deadline", async () => {
    await using pair = linkPair();
    pair.path.refuse();
    pair.path.cut("rst");
    await pair.clock.advance(10);
    await pair.client.send("never accepted");
    await expectLasts(pair, pair.client.close({ deadlineMs: 2_000 }), 2_000);
  });

  test("of a server that answers: when it knows of the end", async () => {
    await using pair = linkPair();
    await pair.client.close();
    expect(pair.clock.nowMs).toBe(0);
  });

  test.each([
    ["six seconds, where that is sooner", 60_000, FORGET_AFTER_MS],
    ["a second after the deadline, where that is sooner", 2_000, 2_000 + TOLD_WITHIN_MS],
  ])("of a server that has accepted everything, and falls silent: %s", async (_, deadlineMs, ms) => {
    await using pair = linkPair();
    const { client } = pair;
    stallsWhenClosed(pair);
    const closing = client.close({ deadlineMs });
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(pair.clock.nowMs).toBe(0);
    await expectLasts(pair, closing, ms);
  });

  test("a signal that is aborted meanwhile leaves it a second", async () => {
    await using pair = linkPair();
    const { client, clock } = pair;
    stallsWhenClosed(pair);
    const hurry = new AbortController();
    const closing = client.close({ deadlineMs: 60_000, signal: hurry.signal });
    await client.closed;
    await clock.advance(100);
    hurry.abort();
    await expectLasts(pair, closing, TOLD_WITHIN_MS);
  });

  test("waits for the peer to close the connection as well", async () => {
    const { supervisor } = await serve({}, () => {});
    const [ours, theirs] = duplexPair();
    const fin = Promise.withResolvers<void>();
    theirs.end = (): Duplex => {
      void fin.promise.then(() => Reflect.apply(Duplex.prototype.end, theirs, []));
      return theirs;
    };
    supervisor.accept(theirs);
    const link = manage().open({ connect: () => ours });
    await link.connected();
    const closing = link.close();
    expect(await link.closed).toEqual({ undelivered: [] });
    expect([await isPending(closing, 20), ours.destroyed]).toEqual([true, false]);
    fin.resolve();
    await closing;
    expect(ours.destroyed).toBe(true);
  });
});
