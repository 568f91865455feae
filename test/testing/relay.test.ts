import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { setFlagsFromString } from "node:v8";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Direction } from "../../src/testing/faults.ts";
import { faultRelay, type FaultRelay } from "../../src/testing/relay.ts";
import { unusedPort } from "../support.ts";

const mib = 1024 * 1024;
const directions: readonly Direction[] = ["to-server", "to-client"];

test("forwards both ways and counts connections", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  client.send("hello");
  expect(await server.take(5)).toBe("hello");
  server.send("welcome");
  expect(await client.take(7)).toBe("welcome");
  expect(relay.connections).toBe(1);
  await open();
  expect(relay.connections).toBe(2);
});

test.each(directions)("a half-close %s leaves the other direction open", async (direction) => {
  const { open } = await setUp();
  const { from, to } = ends(await open(), direction);
  from.socket.end("question");
  await to.ended;
  expect(to.text).toBe("question");
  to.socket.end("answer");
  await from.ended;
  expect(from.text).toBe("answer");
  expect(await Promise.all([from.closed, to.closed])).toEqual(["ok", "ok"]);
});

test.each(directions)("a reset %s arrives as a reset", async (direction) => {
  const { open } = await setUp();
  const { from, to } = ends(await open(), direction);
  from.socket.resetAndDestroy();
  expect(await to.closed).toBe("ECONNRESET");
});

test("a reset arrives after a half-close the other way", async () => {
  const { open } = await setUp();
  const [client, server] = await open();
  client.socket.end();
  await server.ended;
  server.socket.resetAndDestroy();
  expect(await client.closed).toBe("ECONNRESET");
});

test("a target that refuses resets the client", async () => {
  const relay = await faultRelay({ port: await unusedPort() });
  onTestFinished(() => relay.close());
  const client = peer(connect(relay.port, "127.0.0.1"));
  expect(await client.closed).toBe("ECONNRESET");
});

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
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
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

test("refuse() refuses new connections and leaves open ones, heal() listens on the same port", async () => {
  const { relay, open } = await setUp();
  const pair = await open();
  relay.refuse();
  const refused = peer(connect(relay.port, "127.0.0.1"));
  expect(await refused.closed).toBe("ECONNREFUSED");
  await expectWorks(pair);
  relay.heal();
  await expectWorks(await open());
  await expectWorks(pair);
  expect(relay.connections).toBe(2);
});

test("the port is kept while connections are refused, and left when they no longer are", async () => {
  const { relay, open } = await setUp();
  const { port } = relay;
  const host = "127.0.0.1";
  // One socket can be connected to itself there. The system gives such a port to nobody who asks for any.
  const onItself = async (): Promise<unknown> => {
    const socket = connect({ port, host, localPort: port, localAddress: host });
    const outcome = await once(socket, "connect").then(
      () => "free",
      (error: NodeJS.ErrnoException) => error.code,
    );
    socket.resetAndDestroy();
    return outcome;
  };
  relay.refuse();
  expect(await onItself()).toBe("EADDRNOTAVAIL");
  relay.heal();
  await expectWorks(await open());
  relay.refuse();
  relay.heal();
  await expectWorks(await open());
  expect(relay.connections).toBe(2);
  relay.refuse();
  await relay.close();
  expect(await onItself()).toBe("free");
});

test("refuse() right after heal() refuses", async () => {
  const { relay } = await setUp();
  relay.refuse();
  relay.heal();
  relay.refuse();
  // Two, as the first may meet the socket that is about to be closed.
  await peer(connect(relay.port, "127.0.0.1")).closed;
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
});

test("heal() gets its port back from someone who took it for a while", async () => {
  const { relay, accepted } = await setUp();
  relay.refuse();
  const thief = createServer();
  await listen(thief, relay.port);
  const stolen = once(thief, "connection");
  relay.heal();
  // The relay's first attempt has failed when this arrives.
  const client = connect(relay.port, "127.0.0.1");
  await stolen;
  client.destroy();
  thief.close();
  const server = accepted();
  for (;;) {
    const attempt = peer(connect(relay.port, "127.0.0.1"));
    const connected = once(attempt.socket, "connect").then(
      () => true,
      () => false,
    );
    if (await connected) return expectWorks([attempt, await server]);
  }
});

test("faults add up until heal()", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(3_600_000, { direction: "to-server" });
  relay.stall({ direction: "to-client" });
  relay.refuse();
  client.send("one");
  server.send("two");
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
  expect([client.bytes, server.bytes]).toEqual([0, 0]);
  relay.heal();
  expect([await server.take(3), await client.take(3)]).toEqual(["one", "two"]);
});

test("close() ends everything under any fault, can be repeated, and faults do nothing after it", async () => {
  const { relay, open } = await setUp();
  const pairs = [await open(), await open()].flat();
  for (const end of pairs) end.answersFin();
  relay.latency(3_600_000, { direction: "to-server" });
  pairs[0]?.send("never");
  relay.stall();
  relay.blackHole();
  relay.refuse();
  await Promise.all([relay.close(), relay.close(), relay[Symbol.asyncDispose]()]);
  for (const { closed } of pairs) await closed;
  relay.heal();
  relay.cut("rst");
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
});

test("listenPort is used, and one that is taken rejects", async () => {
  const port = await unusedPort();
  const relay = await faultRelay({ port: 9, listenPort: port });
  onTestFinished(() => relay.close());
  expect(relay.port).toBe(port);
  await expect(faultRelay({ port: 9, listenPort: port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});

test("arguments that make no sense are refused", async () => {
  const { relay, open } = await setUp();
  const sideways = { direction: "sideways" as Direction };
  expect(() => relay.cut("bang" as "fin")).toThrow(TypeError);
  expect(() => relay.blackHole(sideways)).toThrow(TypeError);
  expect(() => relay.stall(sideways)).toThrow(TypeError);
  expect(() => relay.latency(1, sideways)).toThrow(TypeError);
  expect(() => relay.cutAfterBytes(1, sideways)).toThrow(TypeError);
  for (const wrong of [-1, NaN, Infinity, "5" as unknown as number]) {
    expect(() => relay.latency(wrong)).toThrow(RangeError);
    expect(() => relay.latency(1, { jitterMs: wrong })).toThrow(RangeError);
    expect(() => relay.cutAfterBytes(wrong)).toThrow(RangeError);
    await expect(faultRelay({ port: wrong })).rejects.toThrow(RangeError);
    await expect(faultRelay({ port: 9, listenPort: wrong })).rejects.toThrow(RangeError);
  }
  expect(() => relay.cutAfterBytes(1.5)).toThrow(RangeError);
  await expectWorks(await open());
});

/** One end of a connection, and what has arrived there. */
interface Peer {
  readonly socket: Socket;
  readonly bytes: number;
  readonly all: Buffer;
  readonly text: string;
  readonly isOpen: boolean;
  readonly isEnded: boolean;
  /** The other end's FIN has arrived. */
  readonly ended: Promise<void>;
  /** "ok" or the error's code. */
  readonly closed: Promise<string>;
  /** From now on it closes when the other end does. */
  answersFin(): void;
  send(data: string | Buffer): boolean;
  /** Writes it MiB by MiB, each when the kernel has taken the one before; once for each peer. */
  flood(data: Buffer): Promise<void>;
  /** How much of it the kernel has taken. */
  readonly flooded: number;
  /** Resolves when so many bytes have arrived since the start. */
  received(bytes: number): Promise<void>;
  /** The next so many bytes as text. */
  take(bytes: number): Promise<string>;
}
type Pair = [client: Peer, server: Peer];

function peer(socket: Socket): Peer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let taken = 0;
  let flooded = 0;
  let outcome = "ok";
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => (outcome = error.code ?? error.message));
  onTestFinished(() => void socket.destroy());
  const received = async (count: number): Promise<void> => {
    if (bytes >= count) return;
    await once(socket, "data");
    await received(count);
  };
  return {
    socket,
    get bytes() {
      return bytes;
    },
    get all() {
      return Buffer.concat(chunks);
    },
    get text() {
      return Buffer.concat(chunks).toString();
    },
    get isOpen() {
      return !socket.destroyed;
    },
    get isEnded() {
      return socket.readableEnded;
    },
    ended: new Promise((resolve) => socket.once("end", resolve)),
    closed: new Promise((resolve) => socket.once("close", () => resolve(outcome))),
    answersFin: () => void socket.once("end", () => socket.end()),
    send: (data) => socket.write(data),
    get flooded() {
      return flooded;
    },
    async flood(data) {
      for (; flooded < data.length && !socket.destroyed; flooded += mib) {
        const piece = data.subarray(flooded, flooded + mib);
        await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      }
    },
    received,
    async take(count) {
      await received(taken + count);
      taken += count;
      return Buffer.concat(chunks)
        .subarray(taken - count, taken)
        .toString();
    },
  };
}

/** A server and a relay before it. `open` connects through the relay; both ends may half-close. */
async function setUp(): Promise<{
  relay: FaultRelay;
  open: () => Promise<Pair>;
  /** The server's end of the next connection. */
  accepted: () => Promise<Peer>;
}> {
  const server = createServer({ allowHalfOpen: true });
  const port = await listen(server, 0);
  const relay = await faultRelay({ port });
  onTestFinished(async () => {
    await relay.close();
    server.close();
  });
  const accepted = async (): Promise<Peer> => peer(((await once(server, "connection")) as [Socket])[0]);
  const open = async (): Promise<Pair> => {
    const serverEnd = accepted();
    return [peer(connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true })), await serverEnd];
  };
  return { relay, open, accepted };
}

function ends([client, server]: Pair, direction: Direction): { from: Peer; to: Peer } {
  return direction === "to-server" ? { from: client, to: server } : { from: server, to: client };
}

async function expectPasses(from: Peer, to: Peer): Promise<void> {
  from.send("ping");
  expect(await to.take(4)).toBe("ping");
}

async function expectWorks([client, server]: Pair): Promise<void> {
  await expectPasses(client, server);
  await expectPasses(server, client);
}

/** A socket that doesn't read, or has read the end, finds out when it writes. */
async function talkUntilClosed(end: Peer): Promise<string> {
  const talking = setInterval(() => end.send("hello?"), 10);
  const outcome = await end.closed;
  clearInterval(talking);
  return outcome;
}

async function roundtripMs(pair: Pair): Promise<number> {
  const startMs = performance.now();
  await expectWorks(pair);
  return performance.now() - startMs;
}

/** That nothing moves any more has no event: the kernel has taken no MiB for 100 ms. */
async function stuck(sender: Peer): Promise<void> {
  const before = sender.flooded;
  await sleep(100);
  if (sender.flooded !== before) await stuck(sender);
}

/** What buffers hold, garbage not counted. */
function bufferBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
