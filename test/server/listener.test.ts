import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Listener, type ListenerOptions } from "../../src/server/listener.ts";
import { certificate, eventually, failure, rawClient } from "../support.ts";

function setUp(options: Partial<ListenerOptions> = {}) {
  const accepted: net.Socket[] = [];
  const rejected: Array<{ remoteAddress: string; reason: string }> = [];
  const listener = new Listener({
    where: { port: 0, host: "127.0.0.1" },
    tls: undefined,
    tlsMs: 1_000,
    maxConnections: 10,
    maxHandshakes: 10,
    onConnection: (socket) => void accepted.push(socket),
    onRejected: (remoteAddress, reason) => void rejected.push({ remoteAddress, reason }),
    ...options,
  });
  onTestFinished(() => {
    listener.stopListening();
    listener.destroyAll();
  });
  return { listener, accepted, rejected };
}

test("counts what it accepted until it is closed", async () => {
  const { listener, accepted } = setUp();
  const { port } = await listener.listen();
  const raw = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  expect(listener.connections).toBe(1);
  accepted[0]?.resume();
  raw.socket.end();
  await raw.closed;
  await eventually(() => expect(listener.connections).toBe(0));
});

test("above maxConnections it says so and closes", async () => {
  const { listener, accepted, rejected } = setUp({ maxConnections: 1 });
  const { port } = await listener.listen();
  await rawClient(port);
  const second = await rawClient(port);
  await second.closed;
  expect(accepted).toHaveLength(1);
  expect(rejected).toEqual([{ remoteAddress: "127.0.0.1", reason: "too many connections" }]);
});

test("a TLS handshake that fails is told of, one that takes too long is closed", async () => {
  const { listener, accepted, rejected } = setUp({ tls: await certificate(), tlsMs: 80 });
  const { port } = await listener.listen();
  const garbage = await rawClient(port);
  garbage.socket.write("GET / HTTP/1.1\r\n\r\n");
  await garbage.closed;
  expect(rejected).toEqual([{ remoteAddress: "127.0.0.1", reason: expect.stringMatching(/^TLS: /) }]);
  const silent = await rawClient(port);
  await silent.closed;
  expect(rejected).toHaveLength(2);
  expect(accepted).toEqual([]);
});

test("a TLS connection above maxConnections is told of once", async () => {
  const { listener, rejected } = setUp({ tls: await certificate(), maxConnections: 1 });
  const { port } = await listener.listen();
  await rawClient(port);
  const second = await rawClient(port);
  await second.closed;
  await eventually(() => expect(rejected.length).toBeGreaterThan(0));
  expect(rejected).toEqual([{ remoteAddress: "127.0.0.1", reason: "too many connections" }]);
});

test("LISTEN_FAILED with what to do", async () => {
  const blocker = net.createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  onTestFinished(() => void blocker.close());
  const { port } = blocker.address() as net.AddressInfo;
  const { listener } = setUp({ where: { port, host: "127.0.0.1" } });
  const error = await failure(listener.listen());
  expect(error.code).toBe("LISTEN_FAILED");
  expect(error.message).toBe(
    `cannot listen on port ${port}: another process listens there: stop it, or choose another`,
  );
});
