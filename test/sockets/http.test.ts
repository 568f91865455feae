// node:http and what is built on it, over links that are cut.
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { HALF_OPEN, LARGE, stage, type Stage } from "./stage.ts";

/** The recipe of docs/sockets.md. */
class LinkAgent extends http.Agent {
  readonly #open: () => net.Socket;

  constructor(open: () => net.Socket) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#open = open;
    onTestFinished(() => this.destroy());
  }

  override createConnection(): Duplex {
    return this.#open();
  }
}

interface Http extends Stage {
  agent: LinkAgent;
  server: http.Server;
}

async function served(handler?: http.RequestListener): Promise<Http> {
  const server = http.createServer(handler);
  const staged = await stage((socket) => void server.emit("connection", socket), HALF_OPEN);
  return { ...staged, server, agent: new LinkAgent(staged.open) };
}

async function answerOf(request: http.ClientRequest): Promise<http.IncomingMessage> {
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return response;
}

describe("http", () => {
  test("an agent that keeps its connections alive: one link for many requests, with cuts within them", async () => {
    const { agent, links, cut } = await served((request, response) => {
      cut();
      request.pipe(response);
    });
    for (let round = 0; round < 3; round++) {
      const request = http.request({ agent, method: "POST", path: "/echo" });
      request.end(LARGE);
      const response = await answerOf(request);
      cut();
      expect((await buffer(response)).equals(LARGE)).toBe(true);
      expect(request.reusedSocket).toBe(round > 0);
    }
    expect(links).toHaveLength(1);
    agent.destroy();
    expect(await links[0]?.closed).toEqual({ undelivered: [] });
  });

  test("an answer whose end is the end of its connection comes whole, through a cut", async () => {
    const { open, links, relay } = await served((_, response) => {
      response.shouldKeepAlive = false;
      response.useChunkedEncodingByDefault = false;
      response.end(LARGE);
      relay.cut("rst");
    });
    const request = http.get({ createConnection: open, headers: { connection: "close" } });
    expect((await buffer(await answerOf(request))).equals(LARGE)).toBe(true);
    expect(await links[0]?.closed).toEqual({ undelivered: [] });
  });

  test("the timeout of a request is told, though its link has no connection", async () => {
    const { agent, relay } = await served(() => {
      relay.refuse();
      relay.cut("rst");
    });
    const request = http.get({ agent, timeout: 100 });
    await once(request, "timeout");
    const failed = once(request, "error");
    request.destroy();
    expect(await failed).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("an answer that its server gives up in the middle fails at the client", async () => {
    const { agent } = await served((_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("a part");
      setImmediate(() => response.destroy());
    });
    const response = await answerOf(http.get({ agent }));
    await expect(text(response)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("a server's handler sees who speaks", async () => {
    const { agent } = await served(({ socket }, response) => {
      response.end(`${socket.remoteAddress} ${socket.remoteFamily}`);
    });
    expect(await text(await answerOf(http.get({ agent })))).toBe("127.0.0.1 IPv4");
  });

  test("to a server that knows nothing of links: each is piped to a connection", async () => {
    const server = http.createServer((request, response) => void request.pipe(response));
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as net.AddressInfo;
    const { open, cut, links } = await stage((socket) => {
      const service = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      pipeline(socket, service, socket, () => {});
    }, HALF_OPEN);
    const agent = new LinkAgent(open);
    for (let round = 0; round < 2; round++) {
      const request = http.request({ agent, method: "POST" });
      request.end(LARGE);
      const response = await answerOf(request);
      cut();
      expect((await buffer(response)).equals(LARGE)).toBe(true);
    }
    agent.destroy();
    expect((await links[0]?.closed)?.error).toBeUndefined();
  });

  test("an upgrade", async () => {
    const { agent, server, cut } = await served();
    server.on("upgrade", (_, socket: Duplex) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      cut();
      socket.pipe(socket);
    });
    const request = http.get({ agent, headers: { connection: "Upgrade", upgrade: "echo" } });
    const [, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, Duplex];
    socket.end(LARGE);
    cut();
    expect((await buffer(socket)).equals(LARGE)).toBe(true);
  });
});

test("http2: several streams on one link", async () => {
  const server = http2.createServer();
  const { open, cut, links } = await stage((socket) => void server.emit("connection", socket), HALF_OPEN);
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
    cut();
  });
  const session = http2.connect("http://a-link", { createConnection: open });
  const echoed = await Promise.all(
    [1, 2, 3].map((number) => {
      const stream = session.request({ ":method": "POST", ":path": `/${number}` });
      stream.end(LARGE);
      return buffer(stream);
    }),
  );
  for (const bytes of echoed) expect(bytes.equals(LARGE)).toBe(true);
  session.close();
  await once(session, "close");
  expect(links).toHaveLength(1);
  expect((await links[0]?.closed)?.error).toBeUndefined();
});

test("ws", async () => {
  const { server, open, cut, links } = await served();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) =>
    socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary })),
  );
  const socket = new WebSocket("ws://a-link/", { createConnection: open });
  await once(socket, "open");
  for (let at = 0; at < 20; at++) {
    socket.send(`message ${at}`);
    if (at % 5 === 0) cut();
    const [message] = (await once(socket, "message")) as [Buffer];
    expect(String(message)).toBe(`message ${at}`);
  }
  socket.close(1_000, "done");
  expect(await once(socket, "close")).toMatchObject([1_000, Buffer.from("done")]);
  expect((await links[0]?.closed)?.error).toBeUndefined();
});
