/** Bytes, closes and resets that the relay swallows. */
import { expect, test, vi } from "vitest";
import { fakeTime } from "../fake-time.ts";
import { directions, ends, expectPasses, expectWorks, mib, setUp, stuck } from "./relay-ends.ts";

test.each(directions)(
  "blackHole() %s swallows bytes, close and reset for good, the other direction lives",
  async (direction) => {
    const { relay, open } = await setUp();
    const before = ends(await open(), direction);
    relay.blackHole({ direction });
    const during = ends(await open(), direction);
    relay.heal();
    for (const { from, to } of [before, during]) {
      from.send("swallowed");
      await expectPasses(to, from);
    }
    before.from.socket.end();
    during.from.socket.resetAndDestroy();
    await during.from.closed;
    await expectPasses(before.to, before.from);
    // A roundtrip on a new connection: whatever was going to arrive at the old ones has arrived.
    await expectWorks(await open());
    for (const { to } of [before, during]) expect(to).toMatchObject({ bytes: 0, isOpen: true, isEnded: false });
  },
);

test("blackHole() without a direction swallows both ways; a cut is heard nevertheless", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.blackHole();
  client.send("lost");
  server.send("lost");
  relay.heal();
  await expectWorks(await open());
  expect([client.bytes, server.bytes]).toEqual([0, 0]);
  relay.cut("rst");
  expect(await Promise.all([client.closed, server.closed])).toEqual(["ECONNRESET", "ECONNRESET"]);
});

test("blackHole() hides the close of an end from one that waits for it, for a minute after both have closed", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  fakeTime({ toFake: ["setTimeout", "clearTimeout"] });
  relay.blackHole({ direction: "to-client" });
  client.socket.end();
  await server.ended;
  server.socket.end();
  await server.closed;
  relay.heal();
  await expectWorks(await open());
  vi.advanceTimersByTime(59_000);
  await expectWorks(await open());
  expect(client.isEnded).toBe(false);
  vi.advanceTimersByTime(1_000);
  await client.ended;
});

test("a black hole doesn't push back on the sender", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.blackHole({ direction: "to-server" });
  await client.flood(Buffer.alloc(48 * mib));
  expect(server.bytes).toBe(0);
});

test("a black hole that hides a reset goes on swallowing what the sender still has", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.blackHole({ direction: "to-client" });
  server.socket.pause();
  const flushed = client.flood(Buffer.alloc(48 * mib));
  await stuck(client);
  server.socket.resetAndDestroy();
  await flushed;
  relay.heal();
  await expectWorks(await open());
  expect(client.isOpen).toBe(true);
});
