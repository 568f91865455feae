import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openRelay, type RelayWatch } from "../../src/testing/relay.ts";
import { unusedPort } from "../support.ts";

/** What a relay to the port tells, and its own port. */
async function watched(port: number, more: RelayWatch = {}) {
  const heard: string[] = [];
  const relay = await openRelay(
    { port },
    {
      onConnected: () => heard.push("connected"),
      onUnreachable: (error) => heard.push(`unreachable: ${error.message}`),
      onPassed: (direction, bytes) => heard.push(`${bytes} ${direction}`),
      onCut: () => heard.push("cut"),
      onClosed: (sent) => heard.push(`closed after ${sent}`),
      ...more,
    },
  );
  onTestFinished(() => relay.close());
  return { heard, relay };
}

async function listening(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}

test("a connection, its bytes, and its end with what its client had sent", async () => {
  const port = await listening((socket) => socket.end("hello"));
  const closed = Promise.withResolvers<number>();
  const { heard, relay } = await watched(port, { onClosed: closed.resolve });
  const client = net.connect(relay.port, "127.0.0.1");
  client.resume();
  client.end("you");
  expect(await closed.promise).toBe(3);
  expect(heard.toSorted()).toEqual(["3 to-server", "5 to-client", "connected"]);
});

test("a server that cannot be dialled, and no connection to it", async () => {
  const port = await unusedPort();
  const closed = Promise.withResolvers<number>();
  const { heard, relay } = await watched(port, { onClosed: closed.resolve });
  net.connect(relay.port, "127.0.0.1").on("error", () => {});
  await closed.promise;
  expect(heard).toEqual([`unreachable: connect ECONNREFUSED 127.0.0.1:${port}`]);
});

test("bytes that a cut has held back have not passed", async () => {
  const port = await listening((socket) => socket.resume());
  const cut = Promise.withResolvers<void>();
  const { heard, relay } = await watched(port, { onCut: cut.resolve });
  relay.cutAfterBytes(0, { direction: "to-server" });
  const client = net.connect(relay.port, "127.0.0.1").on("error", () => {});
  client.write("you");
  await cut.promise;
  expect(heard.filter((one) => one.endsWith("to-server"))).toEqual([]);
});
