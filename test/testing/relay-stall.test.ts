/** Bytes that the relay holds back: stalls, latency, and the back-pressure that comes of it. */
import { randomBytes } from "node:crypto";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { expect, onTestFinished, test, vi } from "vitest";
import type { FaultRelay } from "../../src/testing/relay.ts";
import {
  directions,
  ends,
  expectPasses,
  expectWorks,
  mib,
  type Pair,
  setUp,
  sha256,
  stuck,
  talkUntilClosed,
} from "./relay-ends.ts";

test.each(directions)("stall() %s holds bytes and close, loses nothing, and heal() lets them go", async (direction) => {
  const { relay, open } = await setUp();
  const { from, to } = ends(await open(), direction);
  const bytes = randomBytes(8 * mib);
  from.socket.write(bytes.subarray(0, mib));
  await to.received(64 * 1024);
  relay.stall({ direction });
  void from.flood(bytes.subarray(mib)).then(() => from.socket.end());
  await expectPasses(to, from);
  await stuck(from);
  expect(to.bytes).toBeLessThanOrEqual(mib);
  expect(to.isEnded).toBe(false);
  relay.heal();
  await to.ended;
  expect(sha256(to.all)).toBe(sha256(bytes));
});

test("stall() holds a new connection's bytes, its close, and a reset", async () => {
  const { relay, open } = await setUp();
  relay.stall({ direction: "to-server" });
  const ending = ends(await open(), "to-server");
  const resetting = ends(await open(), "to-server");
  ending.from.socket.end("bye");
  resetting.from.socket.resetAndDestroy();
  await resetting.from.closed;
  resetting.to.send("are you there?");
  await expectPasses(ending.to, ending.from);
  expect(ending.to).toMatchObject({ bytes: 0, isEnded: false });
  expect(resetting.to.isOpen).toBe(true);
  relay.heal();
  await ending.to.ended;
  expect(ending.to.text).toBe("bye");
  expect(await resetting.to.closed).toBe("ECONNRESET");
});

test("latency() delays each direction it names, at least so long", async () => {
  const { relay, open } = await setUp();
  const pair = await open();
  relay.latency(60, { direction: "to-client" });
  expect(await roundtripMs(pair)).toBeGreaterThanOrEqual(60);
  relay.latency(40);
  expect(await roundtripMs(pair)).toBeGreaterThanOrEqual(80);
  vi.spyOn(Math, "random").mockReturnValue(1);
  onTestFinished(() => void vi.restoreAllMocks());
  relay.latency(20, { jitterMs: 30 });
  expect(await roundtripMs(pair)).toBeGreaterThanOrEqual(100);
});

test("latency() leaves the other direction alone, and heal() lets go what waits", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(3_600_000, { direction: "to-server" });
  client.socket.end("late");
  await expectPasses(server, client);
  expect(server).toMatchObject({ bytes: 0, isEnded: false });
  relay.heal();
  await server.ended;
  expect(server.text).toBe("late");
});

test("jitter keeps the order, the close included", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(1, { jitterMs: 20 });
  const lines = Array.from({ length: 100 }, (_, n) => `${n}\n`);
  for (const line of lines) await new Promise((resolve) => client.socket.write(line, resolve));
  client.socket.end();
  await server.ended;
  expect(server.text).toBe(lines.join(""));
});

test("a reset comes after the bytes before it, under latency()", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(20);
  await new Promise((resolve) => client.socket.write("last words", resolve));
  await expectPasses(server, client);
  client.socket.resetAndDestroy();
  expect(await server.closed).toBe("ECONNRESET");
  expect(server.text).toBe("last words");
});

test.each<[string, (relay: FaultRelay) => void]>([
  ["a receiver that doesn't read", () => {}],
  ["stall()", (relay) => relay.stall()],
  ["latency()", (relay) => relay.latency(3_600_000)],
])("%s pushes back on the sender, memory stays bounded, and nothing is lost", async (_, fault) => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  server.socket.pause();
  fault(relay);
  const sent = randomBytes(48 * mib);
  const before = bufferBytes();
  void client.flood(sent).then(() => client.socket.end());
  await stuck(client);
  // The relay's 4 MiB and what it reads at once. What the kernels keep is not counted there.
  expect(bufferBytes() - before).toBeLessThan(8 * mib);
  expect(client.flooded).toBeLessThan(sent.length);
  relay.heal();
  server.socket.resume();
  await server.ended;
  expect(sha256(server.all)).toBe(sha256(sent));
});

test("stall() pushes back on the sender under blackHole() too", async () => {
  const { relay, open } = await setUp();
  const [client] = await open();
  relay.stall();
  relay.blackHole();
  void client.flood(Buffer.alloc(48 * mib));
  await stuck(client);
  expect(client.flooded).toBeLessThan(48 * mib);
});

test("a reset overtakes bytes that the receiver doesn't take", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(1);
  server.socket.pause();
  void client.flood(Buffer.alloc(48 * mib));
  await stuck(client);
  client.socket.resetAndDestroy();
  // Neither the relay nor the server reads now: what they write shows them the reset.
  expect(await talkUntilClosed(server)).toMatch(/ECONNRESET|EPIPE/);
});

async function roundtripMs(pair: Pair): Promise<number> {
  const startMs = performance.now();
  await expectWorks(pair);
  return performance.now() - startMs;
}

/** What buffers hold, garbage not counted. */
function bufferBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}
