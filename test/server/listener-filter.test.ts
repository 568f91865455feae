/** The filter in front of servers that are not ours. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { Access, type AccessOptions, addressList } from "../../src/server/access.ts";
import { ListenerFilter } from "../../src/server/listener-filter.ts";
import { ipv4Header, ipv6Header, lineHeader } from "../io/proxy-header-bytes.ts";
import { certificate, rawServer, socketPath } from "../support.ts";
import { closed, connectWith } from "./balancer.ts";

function filtering(options: AccessOptions, from?: readonly string[]) {
  const told: string[] = [];
  const filter = new ListenerFilter({
    access: new Access(options),
    proxies: from === undefined ? undefined : addressList("from", from, 1),
    headerMs: 1_000,
    mostHeaders: 10,
    clock: new SystemClock(),
    onRejected: (remoteAddress, reason, detail) => void told.push(`${remoteAddress}: ${reason}: ${detail}`),
    onCrowdedOut: () => {},
  });
  onTestFinished(() => filter.destroyAll());
  return { filter, told };
}

/** The code of the error with which a connection was closed. */
async function howClosed(socket: net.Socket): Promise<string | undefined> {
  let code: string | undefined;
  socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code));
  await closed(socket);
  return code;
}

test("who is denied is reset, and told of with the address", async () => {
  const { filter, told } = filtering({ deny: ["127.0.0.2"] });
  const port = await rawServer((socket) =>
    filter.pass(socket, (remoteAddress) => socket.end(`hello ${remoteAddress}`)),
  );
  const to = (localAddress: string): net.Socket =>
    connectWith(Buffer.alloc(0), { port, host: "127.0.0.1", localAddress });
  expect(await howClosed(to("127.0.0.2"))).toBe("ECONNRESET");
  expect(told).toEqual(["127.0.0.2: denied: "]);
  const [heard] = (await once(to("127.0.0.3"), "data")) as [Buffer];
  expect(String(heard)).toBe("hello 127.0.0.3");
});

test("a Unix socket is closed, as it cannot be reset", async () => {
  const { filter, told } = filtering({ allow: ["0.0.0.0/0"] });
  const path = await socketPath();
  const server = net.createServer((socket) => filter.pass(socket, () => socket.end("hello")));
  onTestFinished(() => void server.close());
  await once(server.listen(path), "listening");
  await closed(connectWith(Buffer.alloc(0), { path }));
  expect(told).toEqual([": denied: "]);
});

test("it is the client that is denied, not the balancer; the balancer for connections of its own", async () => {
  const { filter, told } = filtering({ allow: ["203.0.113.0/24", "2001:db8::/32"] }, ["127.0.0.1"]);
  const port = await rawServer((socket) => filter.pass(socket, (remoteAddress) => socket.end(remoteAddress)));
  const to = (header: Buffer): net.Socket => connectWith(header, { port, host: "127.0.0.1" });
  for (const header of [lineHeader("198.51.100.1"), ipv4Header("203.0.113.7", { command: 0 })]) {
    expect(await howClosed(to(header))).toBe("ECONNRESET");
  }
  expect(told).toEqual(["198.51.100.1: denied: ", "127.0.0.1: denied: "]);
  const headers = [lineHeader("203.0.113.7"), ipv6Header([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
  const heard = headers.map(async (header) => String(((await once(to(header), "data")) as [Buffer])[0]));
  expect(await Promise.all(heard)).toEqual(["203.0.113.7", "2001:db8::1"]);
});

test("what is no header is reset", async () => {
  const { filter, told } = filtering({}, ["127.0.0.1"]);
  const port = await rawServer((socket) => filter.pass(socket, () => socket.end("hello")));
  expect(await howClosed(connectWith(Buffer.from("hello\n"), { port, host: "127.0.0.1" }))).toBe("ECONNRESET");
  expect(told).toEqual(["127.0.0.1: proxy protocol: no header"]);
});

test("an http server is given sockets that it can read, with what has come behind the header", async () => {
  const { filter } = filtering({}, ["127.0.0.1"]);
  const server = http.createServer((request, answer) => {
    request.pipe(answer);
  });
  const port = await rawServer((socket) => filter.pass(socket, () => server.emit("connection", socket)));
  for (const together of [true, false]) {
    const request = Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    const header = lineHeader("203.0.113.7");
    const socket = connectWith(together ? Buffer.concat([header, request]) : header, { port, host: "127.0.0.1" });
    if (!together) socket.write(request);
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += String(chunk)));
    await once(socket, "end");
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*hello/s);
  }
});

test("a TLS server shakes hands behind the header, each time", async () => {
  const { filter } = filtering({}, ["127.0.0.1"]);
  const pem = await certificate();
  const server = tls.createServer(pem, (socket) => socket.pipe(socket));
  server.on("tlsClientError", (error) => expect.fail(String(error)));
  const port = await rawServer((socket) => filter.pass(socket, () => server.emit("connection", socket)));
  const talk = async (): Promise<string> => {
    const socket = connectWith(ipv4Header("203.0.113.7"), { port, host: "127.0.0.1" });
    const secure = tls.connect({ socket, ca: pem.cert, servername: "localhost" });
    secure.end("hello");
    const [heard] = (await once(secure, "data")) as [Buffer];
    return String(heard);
  };
  const heard = await Promise.all(Array.from({ length: 25 }, talk));
  expect(new Set(heard)).toEqual(new Set(["hello"]));
});
