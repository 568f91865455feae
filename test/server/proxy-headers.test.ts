/** Sockets whose header is awaited, without what becomes of their connections. */
import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { AddressList } from "../../src/io/address-list.ts";
import { ProxyHeaders } from "../../src/server/proxy-headers.ts";
import { ipv4Header, lineHeader } from "../io/proxy-header-bytes.ts";
import { Arrivals, eventually, ManualClock, rawServer, socketPath } from "../support.ts";
import { closed, connectWith } from "./balancer.ts";

const LOCAL = { host: "127.0.0.1" };
const HEADER = lineHeader("203.0.113.7");

/** A server that awaits a header on each connection, for a second. */
async function awaiting({ from = ["127.0.0.0/8"], most = 10, path = "" } = {}) {
  const trusted = new AddressList();
  for (const entry of from) trusted.add(entry);
  const clock = new ManualClock(0);
  const wrong: string[] = [];
  const crowdedOut = new Arrivals<string>();
  const known = new Arrivals<{ client: string; socket: net.Socket }>();
  const headers = new ProxyHeaders({
    trusted,
    withinMs: 1_000,
    most,
    clock,
    onWrong: (socket, source, problem) => {
      socket.destroy();
      wrong.push(`${source}: ${problem}`);
    },
    onCrowdedOut: (socket, source) => {
      socket.destroy();
      crowdedOut.put(source);
    },
  });
  onTestFinished(() => headers.destroyAll());
  const onSocket = (socket: net.Socket): void =>
    headers.read(socket, (client) => {
      socket.on("error", () => {});
      known.put({ client, socket });
    });
  const server = net.createServer(onSocket);
  if (path !== "") {
    onTestFinished(() => void server.close());
    await once(server.listen(path), "listening");
  }
  const port = path === "" ? await rawServer(onSocket) : 0;
  return { headers, clock, wrong, crowdedOut, known, port, at: path === "" ? { port, ...LOCAL } : { path } };
}

/** Everything that a socket has still to say. */
async function rest(socket: net.Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += String(chunk)));
  await once(socket, "end");
  return text;
}

test("nothing of a header is left, and nothing behind it is lost, wherever the stream is cut", async () => {
  const { headers, known, at } = await awaiting();
  const bytes = Buffer.concat([ipv4Header("203.0.113.7", { checksum: true }), Buffer.from("hello, server")]);
  for (let cut = 1; cut < bytes.length; cut += 5) {
    const socket = connectWith(bytes.subarray(0, cut), { ...at, noDelay: true });
    await eventually(() => expect(headers.size + known.size).toBe(1));
    // It may have read the first part by now.
    await new Promise((resolve) => setImmediate(resolve));
    socket.end(bytes.subarray(cut));
    const { client, socket: server } = await known.next();
    expect([client, await rest(server)]).toEqual(["203.0.113.7", "hello, server"]);
    expect(headers.size).toBe(0);
  }
});

test("a client that ends with its header is heard to end", async () => {
  const { known, at } = await awaiting();
  connectWith(HEADER, at).end();
  const { socket } = await known.next();
  expect(await rest(socket)).toBe("");
});

test("a header that names nobody: the address of the socket", async () => {
  const { known, at } = await awaiting();
  connectWith(Buffer.from("PROXY UNKNOWN\r\n"), at);
  expect((await known.next()).client).toBe("127.0.0.1");
});

test("a source that is not trusted is not read", async () => {
  const { known, wrong, at } = await awaiting({ from: ["192.0.2.0/24", "unix"] });
  await closed(connectWith(HEADER, at));
  expect([wrong, known.size]).toEqual([["127.0.0.1: not from a trusted network"], 0]);
});

test("a Unix socket is trusted by its name", async () => {
  const { known, at } = await awaiting({ from: ["unix"], path: await socketPath() });
  connectWith(HEADER, at);
  expect((await known.next()).client).toBe("203.0.113.7");
  const other = await awaiting({ path: await socketPath() });
  await closed(connectWith(HEADER, other.at));
  expect(other.wrong).toEqual([": not from a trusted network"]);
});

test("what is no header, and what ends within one, is told of; a probe that says nothing is not", async () => {
  const { headers, wrong, at } = await awaiting();
  await closed(connectWith(Buffer.from("hello\n"), at));
  expect(wrong.splice(0)).toEqual(["127.0.0.1: no header"]);
  const partly = connectWith(HEADER.subarray(0, 20), at);
  partly.end();
  await closed(partly);
  expect(wrong.splice(0)).toEqual(["127.0.0.1: ended within the header"]);
  const probe = connectWith(Buffer.alloc(0), at);
  await eventually(() => expect(headers.size).toBe(1));
  probe.resetAndDestroy();
  await eventually(() => expect(headers.size).toBe(0));
  expect(wrong).toEqual([]);
});

test("each socket has the same time, however slowly its header comes", async () => {
  const { headers, clock, wrong, known, at } = await awaiting();
  const slow = connectWith(HEADER.subarray(0, 1), at);
  await eventually(() => expect(headers.size).toBe(1));
  clock.pass(600);
  slow.write(HEADER.subarray(1, 2));
  const later = connectWith(HEADER.subarray(0, 1), at);
  await eventually(() => expect(headers.size).toBe(2));
  clock.pass(399);
  expect(wrong).toEqual([]);
  clock.pass(1);
  await closed(slow);
  expect(wrong.splice(0)).toEqual(["127.0.0.1: no whole header within 1000 ms"]);
  clock.pass(599);
  later.write(HEADER.subarray(1));
  expect((await known.next()).client).toBe("203.0.113.7");
  clock.pass(10_000);
  expect([wrong, headers.size, later.destroyed]).toEqual([[], 0, false]);
});

test("the oldest socket gives way, of the balancer that has most of them", async () => {
  const { headers, crowdedOut, known, at } = await awaiting({ most: 3 });
  const from = (localAddress: string): net.Socket => connectWith(HEADER.subarray(0, 5), { ...at, localAddress });
  const sockets: net.Socket[] = [];
  for (const source of ["127.0.0.2", "127.0.0.3", "127.0.0.3"]) {
    sockets.push(from(source));
    await eventually(() => expect(headers.size).toBe(sockets.length));
  }
  const [alone, oldest, younger] = sockets as [net.Socket, net.Socket, net.Socket];
  connectWith(HEADER, { ...at, localAddress: "127.0.0.3" });
  expect([await crowdedOut.next(), (await known.next()).client]).toEqual(["127.0.0.3", "203.0.113.7"]);
  await closed(oldest);
  for (const socket of [alone, younger]) {
    socket.write(HEADER.subarray(5));
    expect((await known.next()).client).toBe("203.0.113.7");
  }
  expect(crowdedOut.size).toBe(0);
});

test("destroyAll() closes what is awaited, and only that", async () => {
  const { headers, clock, known, wrong, at } = await awaiting();
  const ready = connectWith(HEADER, at);
  await known.next();
  const waiting = connectWith(HEADER.subarray(0, 5), at);
  await eventually(() => expect(headers.size).toBe(1));
  headers.destroyAll();
  await closed(waiting);
  clock.pass(5_000);
  expect([headers.size, wrong, ready.destroyed]).toEqual([0, [], false]);
});
