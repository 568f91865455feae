import { once } from "node:events";
import net, { type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { balancers, ClientHeaders, endsOf } from "../../src/tunnel/client-ends.ts";
import { type Ends, proxyHeader } from "../../src/tunnel/proxy-header.ts";
import { unixHeader } from "../io/proxy-header-bytes.ts";
import { Arrivals, eventually, ManualClock, rawClient, rawServer, socketPath } from "../support.ts";

const CLIENT: Ends = {
  source: { address: "203.0.113.7", port: 56_324 },
  destination: { address: "2001:db8::1", port: 443 },
};

/** A listener behind a balancer of these networks. */
async function behind(from: readonly string[] = ["127.0.0.0/8"]) {
  const clock = new ManualClock(0);
  const clients = new Arrivals<{ socket: Socket; ends: Ends | undefined }>();
  const refused = new Arrivals<string>();
  const headers = new ClientHeaders(balancers(from), clock, (socket, problem) => {
    socket.resetAndDestroy();
    refused.put(problem);
  });
  onTestFinished(() => headers.destroyAll());
  const accepted = new Arrivals<Socket>();
  const port = await rawServer((socket) => {
    accepted.put(socket);
    headers.read(socket, (ends) => clients.put({ socket, ends }));
  });
  return { clock, clients, refused, accepted, headers, port };
}

test("a header in two parts names the client, and what stands behind it is left", async () => {
  const { clients, port, accepted } = await behind();
  for (const version of [1, 2] as const) {
    const header = proxyHeader(version, CLIENT);
    const { socket } = await rawClient(port);
    socket.write(header.subarray(0, 20));
    const server = await accepted.next();
    await eventually(() => expect(server.bytesRead).toBe(20));
    socket.write(Buffer.concat([header.subarray(20), Buffer.from("hello")]));
    const { socket: read, ends } = await clients.next();
    expect(ends).toMatchObject({ ...CLIENT, source: { port: 56_324 } });
    expect(String((await once(read, "data"))[0])).toBe("hello");
  }
});

test("a header that names nobody leaves the client its own address", async () => {
  const { clients, port } = await behind();
  const { socket } = await rawClient(port);
  socket.write(proxyHeader(2, undefined));
  const { ends } = await clients.next();
  expect(ends).toEqual({
    source: { address: "127.0.0.1", port: socket.localPort },
    destination: { address: "127.0.0.1", port },
  });
});

test("a client of the balancer's Unix socket has no address", async () => {
  const { clients, port } = await behind();
  const { socket } = await rawClient(port);
  socket.write(unixHeader());
  expect((await clients.next()).ends).toBeUndefined();
});

test("a connection from elsewhere, and one with something else, are refused", async () => {
  const other = await behind(["10.0.0.0/8", "unix"]);
  // It may be reset before it has noticed that it is connected.
  const elsewhere = net.connect(other.port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void elsewhere.destroy());
  expect(await other.refused.next()).toBe("not from a trusted network");
  const { refused, port } = await behind();
  (await rawClient(port)).socket.write("GET / HTTP/1.1\r\n\r\n");
  expect(await refused.next()).toBe("no header");
});

test("who says nothing for 5 s is refused", async () => {
  const { refused, accepted, clock, port } = await behind();
  await rawClient(port);
  await accepted.next();
  clock.pass(4_999);
  expect(refused.size).toBe(0);
  clock.pass(1);
  expect(await refused.next()).toBe("no whole header within 5000 ms");
});

test("a client of a Unix socket has no ends, nor has one that has gone", async () => {
  const path = await socketPath();
  const server = net.createServer();
  onTestFinished(() => void server.close());
  await once(server.listen(path), "listening");
  const client = net.connect(path);
  onTestFinished(() => void client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  expect(endsOf(socket)).toBeUndefined();
  socket.destroy();
  expect(endsOf(new net.Socket())).toBeUndefined();
});

test("what is no network of a balancer is named", () => {
  expect(() => balancers(["10.0.0.0/8", "db"])).toThrow(/^"db": neither an address, a network/);
});
