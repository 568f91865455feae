import { expect, test } from "vitest";
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork } from "../../src/testing/network.ts";
import { seeded } from "../../src/testing/random.ts";
import { SimConnection } from "../../src/testing/sim-connection.ts";

function connected() {
  const clock = new EventClock();
  const network = new SimNetwork(clock, seeded(1), 1_000);
  Object.assign(network.path("server"), { latencyMs: 0, dialDelayMs: 0 });
  const connections: SimConnection[] = [];
  const heard: string[] = [];
  network.listen("server", (socket) => {
    const server = new SimConnection(socket, "192.0.2.1");
    server.handler = {
      onData: (chunk) => void heard.push(`server: ${String(chunk)}`),
      onDrain: () => {},
      onClosed: (reason) => void heard.push(`server: ${reason}`),
    };
    connections.push(server);
  });
  network.dial(
    "server",
    (socket) => connections.push(new SimConnection(socket, "192.0.2.2")),
    () => {},
  );
  clock.runUntil(0);
  const [server, client] = connections as [SimConnection, SimConnection];
  client.handler = {
    onData: (chunk) => void heard.push(`client: ${String(chunk)}`),
    onDrain: () => void heard.push("client: drain"),
    onWritten: () => void heard.push("client: written"),
    onClosed: (reason) => void heard.push(`client: ${reason}`),
  };
  return { clock, client, server, heard };
}

test("each end has the address that it was given", () => {
  const { client, server } = connected();
  expect([client.remoteAddress, server.remoteAddress]).toEqual(["192.0.2.2", "192.0.2.1"]);
});

test("a handler that asks is told when all is written, one that does not hears nothing of it", () => {
  const { clock, client, server, heard } = connected();
  client.write([Buffer.from("x")]);
  clock.runUntil(1);
  server.write([Buffer.from("y")]);
  clock.runUntil(2);
  expect(heard.toSorted()).toEqual(["client: written", "client: y", "server: x"]);
});

test("an end that is paused makes its peer's bytes pile up, until it is resumed", () => {
  const { clock, client, server, heard } = connected();
  server.pause();
  client.write([Buffer.alloc(600, "x"), Buffer.alloc(600, "x")]);
  clock.runUntil(1);
  expect([client.roomBytes, client.pendingBytes, heard]).toEqual([0, 200, []]);
  server.resume();
  clock.runUntil(2);
  expect([client.roomBytes, client.pendingBytes]).toEqual([1_000, 0]);
  expect(heard.filter((what) => !what.startsWith("server"))).toEqual(["client: drain", "client: written"]);
});

test("one that was ended hears nothing more", () => {
  const { clock, client, server, heard } = connected();
  client.end([Buffer.from("last")]);
  server.write([Buffer.from("late")]);
  clock.runUntil(1);
  expect(heard.at(-1)).toBe("server: closed by the peer");
  expect(heard.filter((what) => what.startsWith("client"))).toEqual([]);
  expect(client.roomBytes).toBe(0);
});
