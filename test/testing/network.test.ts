import { describe, expect, test } from "vitest";
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork, type SimSocket, type Wire } from "../../src/testing/network.ts";
import { seeded } from "../../src/testing/random.ts";

interface Heard {
  socket: SimSocket;
  /** What it heard, and when. */
  seen: string[];
  bytes: number;
}

/** A connection on which nothing takes time. */
function connected(
  kernelBytes = 1_000,
  leastRoomBytes = 1,
  seed = 1,
): { network: SimNetwork; clock: EventClock; wire: Wire; client: Heard; server: Heard } {
  const clock = new EventClock();
  const network = new SimNetwork(clock, seeded(seed), kernelBytes, leastRoomBytes);
  Object.assign(network.path("server"), { latencyMs: 0, dialDelayMs: 0 });
  const heard: Heard[] = [];
  const listen = (socket: SimSocket): void => {
    const each: Heard = { socket, seen: [], bytes: 0 };
    socket.events = {
      onData: (chunk) => {
        each.bytes += chunk.length;
        each.seen.push(`${clock.nowMs} ${String(chunk)}`);
      },
      onClose: (reason) => each.seen.push(`${clock.nowMs} ${reason}`),
      onDrain: () => each.seen.push(`${clock.nowMs} drain`),
    };
    heard.push(each);
  };
  network.listen("server", listen);
  network.dial("server", listen, () => {});
  clock.runUntil(0);
  const [server, client] = heard as [Heard, Heard];
  return { network, clock, wire: client.socket.wire, client, server };
}

test("a delay of one direction comes on top of the path's", () => {
  const { network, clock, client, server } = connected();
  network.path("server").latencyMs = 10;
  network.path("server").added["to-client"] = { delayMs: 5, jitterMs: 0 };
  client.socket.write(Buffer.from("x"));
  server.socket.write(Buffer.from("y"));
  clock.runUntil(100);
  expect([server.seen, client.seen]).toEqual([["10 x"], ["15 y"]]);
});

test("and its jitter varies it", () => {
  const { network, clock, client, server } = connected();
  network.path("server").added["to-server"] = { delayMs: 10, jitterMs: 100 };
  const delays = new Set<number>();
  for (let n = 0; n < 20; n++) {
    const sentMs = clock.nowMs;
    client.socket.write(Buffer.from("x"));
    clock.runUntil(sentMs + 200);
    delays.add(Number(server.seen.at(-1)?.split(" ")[0]) - sentMs);
  }
  expect(delays.size).toBe(20);
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(10);
  expect(Math.max(...delays)).toBeGreaterThan(60);
  expect(Math.max(...delays)).toBeLessThan(110);
});

test("a close takes as long as the bytes before it, and follows them at once", () => {
  const { network, clock, client, server } = connected();
  network.path("server").latencyMs = 100;
  clock.runUntil(100);
  client.socket.write(Buffer.from("x"));
  client.socket.end();
  clock.runUntil(1_000);
  expect(server.seen).toEqual(["200 x", "200 closed by the peer"]);
});

test("nor does a stall that it waits behind add to it", () => {
  const { network, clock, client, server } = connected();
  const path = network.path("server");
  path.latencyMs = 100;
  path.stalled["to-server"] = true;
  client.socket.write(Buffer.from("x"));
  client.socket.end();
  clock.runUntil(500);
  path.stalled["to-server"] = false;
  network.resume("server");
  clock.runUntil(1_000);
  expect(server.seen).toEqual(["500 x", "500 closed by the peer"]);
});

test("a reset is under way as long as anything, whether what was written before arrives or is dropped", () => {
  const seen = new Set<string>();
  for (let n = 0; n < 20; n++) {
    const { network, clock, client, server } = connected(1_000, 1, n);
    network.path("server").latencyMs = 100;
    client.socket.write(Buffer.from("x"));
    clock.runUntil(50);
    client.socket.destroy();
    clock.runUntil(1_000);
    seen.add(server.seen.join(", "));
  }
  expect([...seen].toSorted()).toEqual(["100 x, 150 closed by the peer", "150 closed by the peer"]);
});

test("what is hurried arrives now, in order, the close included", () => {
  const { network, clock, client, server } = connected();
  network.path("server").latencyMs = 100;
  for (const text of ["a", "b"]) client.socket.write(Buffer.from(text));
  client.socket.end();
  network.path("server").latencyMs = 0;
  network.hurry("server");
  clock.runUntil(0);
  expect(server.seen).toEqual(["0 a", "0 b", "0 closed by the peer"]);
});

test("a close that is swallowed on its way is not heard of, nor are bytes", () => {
  const { network, clock, wire, client, server } = connected();
  network.path("server").latencyMs = 100;
  client.socket.write(Buffer.from("x"));
  client.socket.end();
  clock.runUntil(50);
  wire.swallow("to-server");
  clock.runUntil(1_000);
  expect(server.seen).toEqual([]);
});

test("a countdown is of all connections, counts no swallowed bytes, and cuts behind its last byte", () => {
  const { network, clock, wire, client, server } = connected();
  const path = network.path("server");
  path.countdowns.add(5, ["to-server", "to-client"]);
  server.socket.write(Buffer.from("swallowed"));
  wire.swallow("to-client");
  clock.runUntil(0);
  client.socket.write(Buffer.from("123"));
  clock.runUntil(0);
  expect(server.bytes).toBe(3);
  client.socket.write(Buffer.from("4567"));
  clock.runUntil(0);
  expect(server.bytes).toBe(5);
  expect([client.seen, server.seen.at(-1)]).toEqual([["0 ECONNRESET"], "0 ECONNRESET"]);
});

test("a writer that found no room is told when there is enough, and not before", () => {
  const { network, clock, client } = connected(1_000, 600);
  network.path("server").latencyMs = 10;
  client.socket.write(Buffer.alloc(300));
  expect(client.socket.roomBytes).toBe(700);
  client.socket.write(Buffer.alloc(300));
  expect(client.socket.roomBytes).toBe(0);
  clock.runUntil(9);
  expect(client.seen).toEqual([]);
  clock.runUntil(100);
  expect(client.seen).toEqual(["10 drain"]);
  expect(client.socket.roomBytes).toBe(1_000);
});

describe("an end that is paused", () => {
  test("gets nothing, and its peer finds no room; then it gets everything, and the peer's close behind it", () => {
    const { clock, client, server } = connected();
    server.socket.pause();
    client.socket.write(Buffer.alloc(1_000, "x"));
    clock.runUntil(10);
    expect([server.seen, client.socket.roomBytes]).toEqual([[], 0]);
    client.socket.end();
    clock.runUntil(20);
    expect(server.seen).toEqual([]);
    server.socket.resume();
    clock.runUntil(30);
    expect([server.bytes, server.seen.at(-1)]).toEqual([1_000, "20 closed by the peer"]);
  });

  test("is not reached by what a stall has held back, and hears of a cut", () => {
    const { network, clock, wire, client, server } = connected();
    const { stalled } = network.path("server");
    stalled["to-server"] = true;
    client.socket.write(Buffer.from("x"));
    server.socket.pause();
    stalled["to-server"] = false;
    network.resume("server");
    network.hurry("server");
    clock.runUntil(10);
    expect(server.seen).toEqual([]);
    wire.cutNow("cut");
    expect(server.seen).toEqual(["10 cut"]);
  });

  test.each<[string, (socket: SimSocket) => void]>([
    ["ends", (socket) => socket.end()],
    ["is destroyed", (socket) => socket.destroy()],
    ["is cut", (socket) => socket.kill("cut")],
    ["is ended, and paused again", (socket) => (socket.end(), socket.pause())],
  ])("that %s keeps no bytes on their way", (_, close) => {
    const { clock, client, server } = connected();
    server.socket.pause();
    client.socket.write(Buffer.alloc(1_000));
    clock.runUntil(10);
    close(server.socket);
    clock.runUntil(20);
    expect([server.bytes, client.socket.roomBytes]).toEqual([0, 1_000]);
  });
});

describe("bytes that find no room in the kernel", () => {
  function asking(...given: Parameters<typeof connected>) {
    const made = connected(...given);
    const { clock, client } = made;
    const told: string[] = [];
    const { socket } = client;
    socket.events = {
      ...socket.events,
      onWritten: () => told.push(`${clock.nowMs} with ${socket.pendingBytes} pending`),
    };
    return { ...made, told };
  }

  test("are pending, and the writer is told once when none are", () => {
    const { network, clock, client, told } = asking();
    network.path("server").latencyMs = 10;
    client.socket.write(Buffer.alloc(1_500));
    expect(client.socket.pendingBytes).toBe(500);
    clock.runUntil(9);
    expect(told).toEqual([]);
    clock.runUntil(20);
    expect(told).toEqual(["10 with 0 pending"]);
  });

  test("though there are none the writer is told, after it has written", () => {
    const { clock, client, told } = asking();
    client.socket.write(Buffer.alloc(10));
    client.socket.write(Buffer.alloc(10));
    expect(told).toEqual([]);
    clock.runUntil(0);
    expect(told).toEqual(["0 with 0 pending"]);
    client.socket.write(Buffer.alloc(10));
    clock.runUntil(0);
    expect(told).toHaveLength(2);
  });

  test("and that are written before it is told come first", () => {
    const { network, clock, client, told } = asking();
    network.path("server").latencyMs = 10;
    client.socket.write(Buffer.alloc(10));
    client.socket.write(Buffer.alloc(1_500));
    clock.runUntil(9);
    expect(told).toEqual([]);
    clock.runUntil(20);
    expect(told).toEqual(["10 with 0 pending"]);
  });

  test("are not waited for where they are swallowed", () => {
    const { clock, wire, client, told } = asking();
    wire.swallow("to-server");
    client.socket.write(Buffer.alloc(1_500));
    clock.runUntil(0);
    expect(told).toEqual(["0 with 0 pending"]);
  });

  test("are told of to nobody who is closed", () => {
    const { clock, client, told } = asking();
    client.socket.write(Buffer.alloc(10));
    client.socket.end();
    clock.runUntil(10);
    expect(told).toEqual([]);
  });
});
