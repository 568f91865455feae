/** Connections that the relay cuts, at once or after so many bytes. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { expectPasses, expectWorks, mib, setUp, sha256, stuck, talkUntilClosed } from "./relay-ends.ts";

test.each<["fin" | "rst", string]>([
  ["fin", "ok"],
  ["rst", "ECONNRESET"],
])("cut(%j) closes all connections and takes new ones", async (how, outcome) => {
  const { relay, open } = await setUp();
  const pairs = [await open(), await open()].flat();
  for (const end of pairs) end.answersFin();
  relay.cut(how);
  for (const { closed } of pairs) expect(await closed).toBe(outcome);
  await expectWorks(await open());
});

test('cut("rst") resets even where the relay is just passing on a FIN', async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(3_600_000, { direction: "to-server" });
  client.socket.end();
  await expectPasses(server, client);
  relay.heal();
  relay.cut("rst");
  expect(await client.closed).toBe("ECONNRESET");
  expect(await talkUntilClosed(server)).toMatch(/ECONNRESET|EPIPE/);
});

test('cut("fin") stays clean with bytes unread, and ends the connection though an end doesn\'t answer', async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.stall();
  const flooded = client.flood(Buffer.alloc(16 * mib));
  server.send("never read");
  relay.cut("fin");
  await Promise.all([client.ended, server.ended]);
  await flooded;
  client.socket.end();
  expect(await client.closed).toBe("ok");
  // The server talks on, until the relay has waited long enough.
  expect(await talkUntilClosed(server)).toMatch(/ECONNRESET|EPIPE/);
});

test.each([1, 1_000, 100_001, 5_000_000])(
  "cutAfterBytes(%d) lets exactly so many bytes pass, then resets",
  async (bytes) => {
    const { relay, open } = await setUp();
    const [client, server] = await open();
    const idle = await open();
    const sent = randomBytes(bytes + 1_000_000);
    relay.cutAfterBytes(bytes);
    client.socket.write(sent);
    expect(await server.closed).toBe("ECONNRESET");
    expect(server.bytes).toBe(bytes);
    expect(sha256(server.all)).toBe(sha256(sent.subarray(0, bytes)));
    expect(await Promise.all([client.closed, idle[0].closed, idle[1].closed])).toEqual(Array(3).fill("ECONNRESET"));
    // It fires once.
    await expectWorks(await open());
  },
);

test("cutAfterBytes() fires without a byte more than those", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.cutAfterBytes(5);
  client.send("12345");
  expect(await server.closed).toBe("ECONNRESET");
  expect(server.text).toBe("12345");
});

test("cutAfterBytes() counts all connections and both directions together", async () => {
  const { relay, open } = await setUp();
  const [one, two] = [await open(), await open()];
  relay.cutAfterBytes(10);
  one[0].send("abcd");
  await one[1].take(4);
  two[1].send("efgh");
  await two[0].take(4);
  one[1].send("ijkl");
  expect(await one[0].closed).toBe("ECONNRESET");
  expect(one[0].text).toBe("ij");
});

test("cutAfterBytes() with a direction counts that direction only", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.cutAfterBytes(3, { direction: "to-client" });
  client.send("0123456789");
  await server.take(10);
  server.send("abcdef");
  expect(await client.closed).toBe("ECONNRESET");
  expect(client.text).toBe("abc");
});

test("cutAfterBytes(0) cuts at the next byte, which does not pass", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.cutAfterBytes(0);
  const later = await open();
  expect(client.isOpen).toBe(true);
  client.send("x");
  expect(await server.closed).toBe("ECONNRESET");
  expect(server.bytes).toBe(0);
  expect(await later[1].closed).toBe("ECONNRESET");
});

test("cutAfterBytes() doesn't wait for ever for a receiver that doesn't read", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  server.socket.pause();
  void client.flood(Buffer.alloc(48 * mib));
  await stuck(client);
  relay.cutAfterBytes(0);
  const [other] = await open();
  other.send("x");
  expect(await client.closed).toBe("ECONNRESET");
});

test("heal() cancels cutAfterBytes()", async () => {
  const { relay, open } = await setUp();
  const pair = await open();
  relay.cutAfterBytes(1);
  relay.heal();
  await expectWorks(pair);
});
