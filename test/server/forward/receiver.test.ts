import { once } from "node:events";
import net from "node:net";
import tls, { type PeerCertificate, type TlsOptions } from "node:tls";
import { X509Certificate } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { SYSTEM_ENTROPY } from "../../../src/io/entropy.ts";
import type { Connection } from "../../../src/link/ports.ts";
import {
  encodePreamble,
  GREETING_BYTES,
  type Macs,
  parseAnswer,
  parseGreeting,
  type Preamble,
} from "../../../src/server/forward/preamble.ts";
import { Receiver } from "../../../src/server/forward/receiver.ts";
import { certificate, eventually, ManualClock, socketPath } from "../../support.ts";

const MACS: Macs = { key: undefined, entropy: SYSTEM_ENTROPY };
const OURS = "0123456789ab";
const PREAMBLE: Preamble = {
  serverId: OURS,
  nonce: Buffer.alloc(16, 4),
  remoteAddress: "2001:db8::1",
  certificate: Buffer.alloc(0),
};

async function setUp(secure?: TlsOptions & { servername?: string }) {
  const clock = new ManualClock(0);
  const accepted: Array<{ connection: Connection; certificate: (() => PeerCertificate) | undefined }> = [];
  const rejected: string[] = [];
  const tracked = new Set<net.Socket>();
  const receiver = new Receiver(
    {
      clock,
      entropy: SYSTEM_ENTROPY,
      macs: MACS,
      serverId: OURS,
      accept: (connection, shown) => void accepted.push({ connection, certificate: shown }),
      onRejected: (_, detail) => void rejected.push(detail),
      onFailed: () => {},
    },
    secure,
  );
  const path = await socketPath();
  await receiver.listen({ path }, (socket) => {
    tracked.add(socket);
    socket.on("error", () => {});
  });
  onTestFinished(() => {
    receiver.close();
    for (const socket of tracked) socket.destroy();
  });
  return { clock, accepted, rejected, tracked, receiver, path };
}

async function greeted(path: string): Promise<{ socket: net.Socket; nonce: Buffer }> {
  const socket = net.connect(path);
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  const [greeting] = (await once(socket, "data")) as [Buffer];
  expect(greeting).toHaveLength(GREETING_BYTES);
  return { socket, nonce: parseGreeting(greeting) as Buffer };
}

/** However it comes to that: a reset is an error first. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

function say(socket: net.Socket, preamble: Preamble, nonce: Buffer): void {
  socket.write(encodePreamble(preamble, nonce, MACS) as Buffer);
}

test("hands over the connection as that of the client, with the bytes that follow", async () => {
  const { accepted, clock, path, tracked } = await setUp();
  const { cert } = await certificate("client.example");
  const { socket, nonce } = await greeted(path);
  say(socket, { ...PREAMBLE, certificate: new X509Certificate(cert).raw }, nonce);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(parseAnswer(answer, PREAMBLE.nonce, nonce, MACS)).toBe("taken");
  const [only] = accepted;
  expect(only?.connection.remoteAddress).toBe("2001:db8::1");
  expect(only?.certificate?.().subject.CN).toBe("client.example");
  const heard: string[] = [];
  if (only !== undefined) {
    only.connection.handler = {
      onData: (chunk) => void heard.push(String(chunk)),
      onDrain: () => {},
      onClosed: () => void heard.push("closed"),
    };
  }
  socket.write("hello");
  await eventually(() => expect(heard).toEqual(["hello"]));
  clock.pass(10_000);
  only?.connection.write([Buffer.from("and back")]);
  expect(String((await once(socket, "data"))[0])).toBe("and back");
  expect(tracked.size).toBe(1);
});

test("a connection for another server is answered so, and closed", async () => {
  const { accepted, path } = await setUp();
  const { socket, nonce } = await greeted(path);
  say(socket, { ...PREAMBLE, serverId: "ba9876543210" }, nonce);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(parseAnswer(answer, PREAMBLE.nonce, nonce, MACS)).toBe("another-server");
  await closed(socket);
  expect(accepted).toEqual([]);
});

test.each<[string, (nonce: Buffer) => Buffer]>([
  ["garbage", () => Buffer.from("GET / HTTP/1.1\r\n")],
  [
    "a preamble with a byte behind it",
    (nonce) => Buffer.concat([encodePreamble(PREAMBLE, nonce, MACS) as Buffer, Buffer.of(0)]),
  ],
  [
    "a certificate that is none",
    (nonce) => encodePreamble({ ...PREAMBLE, certificate: Buffer.of(1) }, nonce, MACS) as Buffer,
  ],
])("%s is closed and counted", async (_, bytes) => {
  const { accepted, rejected, path } = await setUp();
  const { socket, nonce } = await greeted(path);
  socket.write(bytes(nonce));
  await closed(socket);
  expect([rejected, accepted]).toEqual([["no preamble of a server"], []]);
});

test("one that says nothing is closed after 2 s, and one that ends at once", async () => {
  const { clock, path, rejected } = await setUp();
  const silent = await greeted(path);
  const ending = await greeted(path);
  ending.socket.end();
  await closed(ending.socket);
  clock.pass(1_999);
  expect(silent.socket.destroyed).toBe(false);
  clock.pass(1);
  await closed(silent.socket);
  expect(rejected).toEqual([]);
});

test("of 257 that say nothing the oldest gives way, and a server gets in", async () => {
  const { accepted, path } = await setUp();
  const silent = await Promise.all(Array.from({ length: 256 }, () => greeted(path)));
  const { socket, nonce } = await greeted(path);
  await eventually(() => expect(silent.filter((each) => each.socket.destroyed)).toHaveLength(1));
  say(socket, PREAMBLE, nonce);
  await once(socket, "data");
  expect(accepted).toHaveLength(1);
});

test("closed, it gives up those that have not said for whom they are, and its socket is removed", async () => {
  const { path, receiver } = await setUp();
  const { socket } = await greeted(path);
  receiver.close();
  await closed(socket);
  const late = net.connect(path);
  const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ENOENT");
});

test("with TLS whoever has no certificate of the authority is not greeted", async () => {
  const own = await certificate("servers.example");
  const other = await certificate("servers.example");
  const { accepted, path, rejected } = await setUp({ ...own, ca: own.cert });
  const connect = (options: { key?: string; cert?: string }): tls.TLSSocket =>
    tls.connect({ path, ca: own.cert, servername: "servers.example", ...options }).on("error", () => {});
  for (const options of [{}, other]) {
    const stranger = connect(options);
    const heard: Buffer[] = [];
    stranger.on("data", (chunk: Buffer) => heard.push(chunk));
    await closed(stranger);
    expect(heard).toEqual([]);
  }
  expect(rejected).toHaveLength(2);
  const server = connect(own);
  const [greeting] = (await once(server, "data")) as [Buffer];
  server.write(encodePreamble(PREAMBLE, parseGreeting(greeting) as Buffer, MACS) as Buffer);
  await once(server, "data");
  expect(accepted).toHaveLength(1);
  server.destroy();
});

test("with a name, a certificate of the authority that has another is not greeted", async () => {
  const own = await certificate("servers.example");
  const client = await certificate("client.example");
  const { path, rejected } = await setUp({ ...own, ca: [own.cert, client.cert], servername: "servers.example" });
  const stranger = tls.connect({ path, ca: own.cert, servername: "servers.example", ...client }).on("error", () => {});
  const heard: Buffer[] = [];
  stranger.on("data", (chunk: Buffer) => heard.push(chunk));
  await closed(stranger);
  expect([heard, rejected]).toEqual([[], [expect.stringContaining("servers.example")]]);
});
