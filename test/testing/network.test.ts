import { expect, test } from "vitest";
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
