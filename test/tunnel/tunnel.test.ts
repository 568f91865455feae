/** Both ends of a tunnel, and the path between them. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { NearEnd } from "../../src/tunnel/near.ts";
import { LINK_OPTIONS } from "../../src/tunnel/terms.ts";
import { eventually, rawServer, serve } from "../support.ts";
import { readAll, tunnel, whenItStands } from "./stage.ts";

function echo(socket: net.Socket): void {
  socket.pipe(socket);
}

/** A target that ends each connection in order without a word, and keeps its sockets. */
function keep(): { sockets: net.Socket[]; serve: (socket: net.Socket) => void } {
  const sockets: net.Socket[] = [];
  return { sockets, serve: (socket) => void sockets.push(socket.on("error", () => {})) };
}

describe("a connection", () => {
  test.each([0, 1, 8_191, 8_192, 65_536, 3_000_000])("of %d bytes comes back as it was sent", async (bytes) => {
    const { connect } = await tunnel(echo);
    const socket = await connect();
    const sent = Buffer.from(Array.from({ length: bytes }, (_, n) => n * 7 + (n >> 8)));
    const read = readAll(socket);
    socket.end(sent);
    const { bytes: back, end } = await read;
    expect([end, back.equals(sent)]).toEqual(["end", true]);
  });

  test("each direction ends by itself, and the other goes on", async () => {
    const target = keep();
    const { connect } = await tunnel(target.serve);
    const socket = await connect();
    const fromTarget = readAll(socket);
    socket.end("question");
    await eventually(() => expect(target.sockets).toHaveLength(1));
    const [server] = target.sockets as [net.Socket];
    const { bytes, end } = await readAll(server);
    expect([String(bytes), end]).toEqual(["question", "end"]);
    server.write("an ");
    server.end("answer");
    expect(String((await fromTarget).bytes)).toBe("an answer");
  });

  test("the target may end first", async () => {
    const target = keep();
    const { connect } = await tunnel(target.serve);
    const socket = await connect();
    const read = readAll(socket);
    await eventually(() => expect(target.sockets).toHaveLength(1));
    const [server] = target.sockets as [net.Socket];
    server.end("greeting");
    expect(await read).toEqual({ bytes: Buffer.from("greeting"), end: "end" });
    const got = readAll(server);
    socket.end("late words");
    expect(String((await got).bytes)).toBe("late words");
  });

  test("a reset of the application is one for the target", async () => {
    const target = keep();
    const { connect, lines } = await tunnel(target.serve);
    const socket = await connect();
    await eventually(() => expect(target.sockets).toHaveLength(1));
    const read = readAll(target.sockets[0] as net.Socket);
    socket.resetAndDestroy();
    expect((await read).end).toBe("ECONNRESET");
    await eventually(() => expect(lines.filter(({ event }) => event === "tunnel.connection")).toHaveLength(2));
    expect(lines.find(({ at, event }) => at === "near" && event === "tunnel.connection")?.text).toContain(
      ": reset after",
    );
    expect(lines.find(({ at, event }) => at === "far" && event === "tunnel.connection")?.text).toContain(
      ": the other end: reset after",
    );
  });

  test("a reset of the target is one for the application", async () => {
    const { connect } = await tunnel((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    const socket = await connect();
    const read = readAll(socket);
    socket.write("x");
    expect((await read).end).toBe("ECONNRESET");
  });

  test("a target that refuses resets the application, and both ends say why", async () => {
    const { connect, lines, near, far } = await tunnel(echo, {
      near: { forwards: [{ listen: { port: 0, host: "127.0.0.1" }, to: `127.0.0.1:${await closedPort()}` }] },
    });
    for (let n = 0; n < 2; n++) {
      const socket = await connect();
      const read = readAll(socket);
      socket.write("never read");
      expect((await read).end).toBe("ECONNRESET");
    }
    await eventually(() => expect([near.connections, far.connections]).toEqual([0, 0]));
    expect(lines.filter(({ event }) => event === "tunnel.refused")).toHaveLength(2);
    expect(lines.find(({ at, event }) => at === "near" && event === "tunnel.connection")?.text).toContain(
      "refuses connections",
    );
    // The link that carried the first carries the second, too.
    expect(near.manager.stats().events.ended["aborted"] ?? 0).toBe(0);
  });

  test("above the most connections of a near end, over whichever address, is reset, and the log says so", async () => {
    const target = keep();
    const { another, lines, target: to } = await tunnel(target.serve);
    const forward = { listen: { port: 0, host: "127.0.0.1" }, to };
    const { near, ports } = await another({ forwards: [forward, forward], maxConnections: 1 });
    const connectTo = (at: number): net.Socket => {
      const socket = net.connect(ports[at] as number, "127.0.0.1").on("error", () => {});
      onTestFinished(() => void socket.destroy());
      return socket;
    };
    const first = connectTo(0);
    await eventually(() => expect(target.sockets).toHaveLength(1));
    expect((await readAll(connectTo(1))).end).toBe("ECONNRESET");
    expect(lines.filter(({ event }) => event === "tunnel.refused")).toMatchObject([
      { at: "near", fields: { code: "too-many-connections" } },
    ]);
    first.resetAndDestroy();
    await eventually(() => expect(near.connections).toBe(0));
    connectTo(1);
    await eventually(() => expect(target.sockets).toHaveLength(2));
  });

  test("slow readers hold the other side up", async () => {
    const target = keep();
    const { connect, near, far } = await tunnel((socket) => {
      target.serve(socket);
      writeOn(socket);
    });
    const socket = await connect();
    socket.pause();
    const taken = await whenItStands(() => near.manager.stats().received.bytes);
    expect(taken).toBeLessThan(16 * 1_048_576);
    // Nor does the far end read what the link does not take.
    const read = await whenItStands(() => takenFrom(target.sockets[0] as net.Socket));
    expect(read).toBeLessThan(64 * 1_048_576);
    expect(far.connections).toBe(1);
    socket.destroy();
  });

  test("a target that never reads holds the application up", async () => {
    const { connect, near, far } = await tunnel((socket) => void socket.pause());
    const socket = await connect();
    writeOn(socket);
    const read = await whenItStands(() => takenFrom(socket));
    expect(read).toBeLessThan(64 * 1_048_576);
    expect([near.connections, far.connections]).toEqual([1, 1]);
  });
});

/** Writes for as long as the socket takes it. */
function writeOn(socket: net.Socket): void {
  const chunk = Buffer.alloc(65_536);
  const go = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", go);
  go();
}

/** What the kernel has taken. */
function takenFrom(socket: net.Socket): number {
  return socket.bytesWritten - socket.writableLength;
}

/** A port on which nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("the path", () => {
  test("cuts in the middle change nothing", async () => {
    const { connect, relay, lines } = await tunnel(echo);
    const socket = await connect();
    const sent = Buffer.alloc(4_000_000, "0123456789");
    const read = readAll(socket);
    socket.write(sent.subarray(0, 2_000_000));
    await eventually(() => expect(socket.bytesRead).toBeGreaterThan(100_000));
    relay.cut("rst");
    await eventually(() => expect(socket.bytesRead).toBeGreaterThan(1_900_000));
    relay.cut("rst");
    socket.end(sent.subarray(2_000_000));
    const { bytes, end } = await read;
    expect([end, bytes.equals(sent)]).toEqual(["end", true]);
    await eventually(() => expect(lines.filter(({ event }) => event === "tunnel.connection")).toHaveLength(2));
    expect(lines.find(({ at, event }) => at === "near" && event === "tunnel.connection")?.fields).toMatchObject({
      isWhole: true,
      reconnects: 2,
      bytesUp: sent.length,
      bytesDown: sent.length,
    });
  });

  test("a path that stays away longer than connections survive is a reset on both sides, never an end", async () => {
    const target = keep();
    const { connect, relay } = await tunnel(target.serve, { near: { surviveMs: 300 }, far: { surviveMs: 300 } });
    const socket = await connect();
    const read = readAll(socket);
    socket.write("x");
    await eventually(() => expect(target.sockets).toHaveLength(1));
    const server = target.sockets[0] as net.Socket;
    const atTarget = readAll(server);
    relay.refuse();
    relay.cut("rst");
    expect((await read).end).toBe("ECONNRESET");
    expect((await atTarget).end).toBe("ECONNRESET");
  });
});

describe("a silent path", () => {
  test("is noticed for all connections by one link, and they go on over new ones", async () => {
    const { connect, relay, near } = await tunnel(echo);
    const sockets = await Promise.all(Array.from({ length: 5 }, connect));
    await Promise.all(sockets.map((socket) => roundTrip(socket, "before")));
    await eventually(() => expect(near.manager.stats().links.connected).toBeGreaterThan(5));
    relay.blackHole();
    // Until then nothing is known, as nothing is sent.
    await eventually(() => expect(near.manager.stats().links.suspect).toBeGreaterThan(0), 10_000);
    // The one link, and the five: those that carry nothing are closed, before somebody is given one.
    await eventually(() => expect(near.manager.links.size).toBe(6));
    relay.heal();
    await Promise.all(sockets.map((socket) => roundTrip(socket, "after")));
  }, 20_000);
});

/** Sends a word, and waits until it has come back. */
async function roundTrip(socket: net.Socket, word: string): Promise<void> {
  socket.write(word);
  const [back] = (await once(socket, "data")) as [Buffer];
  expect(String(back)).toBe(word);
}

describe("links", () => {
  test("a link carries one connection after another", async () => {
    const { connect, near } = await tunnel(echo);
    for (let n = 0; n < 20; n++) {
      const socket = await connect();
      const read = readAll(socket);
      socket.end(String(n));
      expect(String((await read).bytes)).toBe(String(n));
      await eventually(() => expect(near.connections).toBe(0));
    }
    // One for the path, and spares; the first connection may have come before those.
    expect(near.manager.links.size).toBeLessThanOrEqual(1 + 1 + 8);
    expect(near.manager.stats().events.ended).toEqual({});
  });

  test("many at once are all carried", async () => {
    const { connect, near } = await tunnel(echo);
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const socket = await connect();
        const read = readAll(socket);
        socket.end(String(n));
        return String((await read).bytes);
      }),
    );
    expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
    await eventually(() => expect(near.connections).toBe(0));
  });

  test("spares that were cut are not used", async () => {
    const { connect, relay, near } = await tunnel(echo);
    await eventually(() => expect(near.manager.stats().links.connected).toBe(5));
    relay.cut("rst");
    const socket = await connect();
    const read = readAll(socket);
    socket.end("after the cut");
    expect(String((await read).bytes)).toBe("after the cut");
    await eventually(() => expect(near.manager.stats().events.ended["aborted"]).toBeGreaterThan(2));
  });
});

/** What a near end says whose far end is at `port`. */
async function linesOfNear(port: number): Promise<string[]> {
  const lines: string[] = [];
  const near = new NearEnd({
    far: { port, host: "127.0.0.1" },
    connect: {},
    forwards: [],
    name: undefined,
    surviveMs: 60_000,
    maxConnections: undefined,
    balancers: undefined,
    log: (level, _, text) => void lines.push(`${level}: ${text}`),
    logger: undefined,
  });
  onTestFinished(async () => void (await near.close(0, AbortSignal.abort())));
  await near.listen();
  return lines;
}

describe("a far end that cannot be used", () => {
  test.each(["no-tunnel", "something else"])(
    "and aborts with %j is said, and not asked at once again",
    async (code) => {
      const { port, links } = await serve(LINK_OPTIONS, (link) => link.abort(code));
      const lines = await linesOfNear(port);
      const said = `error: the far end cannot be used: the peer aborted the link: ${code}`;
      await eventually(() => expect(lines).toContain(said));
      await links.next();
      // Twice as long as it would take to ask again a far end that says goodbye.
      await sleep(200);
      expect(lines.filter((line) => line === said)).toHaveLength(1);
    },
  );

  test("as it cannot be reached is said once, however often it is tried", async () => {
    let tries = 0;
    const port = await rawServer((socket) => {
      tries++;
      socket.destroy();
    });
    const lines = await linesOfNear(port);
    await eventually(() => expect(tries).toBeGreaterThan(3));
    expect(lines).toEqual([expect.stringMatching(/^warn: the far end cannot be reached: 127\.0\.0\.1:\d+: /)]);
  });

  test("as it is shut down is no error", async () => {
    const { far, lines } = await tunnel(echo);
    await eventually(() => expect(lines.some(({ text }) => text === "connected to the far end")).toBe(true));
    await far.close(0, AbortSignal.abort());
    await eventually(() => expect(lines.some(({ text }) => /cannot be reached|is lost/.test(text))).toBe(true));
    expect(lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("spares that cannot be opened are given up, and leave no link behind", async () => {
    const { near, relay, connect } = await tunnel(echo);
    const { manager } = near;
    await eventually(() => expect(manager.stats().links.connected).toBe(5));
    relay.refuse();
    near.renew();
    await eventually(() => expect(manager.links.size).toBe(1));
    relay.heal();
    await roundTrip(await connect(), "healed");
    expect(manager.stats().links.reconnecting).toBe(0);
  });
});

describe("the end", () => {
  test("a far end that carries nothing is closed at once, whatever time there is to drain", async () => {
    const { far, near } = await tunnel(echo);
    await eventually(() => expect(near.manager.stats().links.connected).toBe(5));
    expect(await far.close(60_000, new AbortController().signal)).toBe(0);
  });

  test("connections may end while the near end drains; then all is closed, and nothing was reset", async () => {
    const { connect, near, port } = await tunnel(echo);
    const socket = await connect();
    const read = readAll(socket);
    socket.write("be");
    await once(socket, "data");
    const closing = near.close(10_000, new AbortController().signal);
    await expect(once(net.connect(port, "127.0.0.1"), "error")).resolves.toMatchObject([{ code: "ECONNREFUSED" }]);
    socket.end("fore");
    expect((await read).end).toBe("end");
    expect(await closing).toBe(0);
  });

  test("connections may end while the far end drains, and lose nothing of their end", async () => {
    const { connect, far } = await tunnel(echo);
    const socket = await connect();
    const read = readAll(socket);
    socket.write("be");
    await once(socket, "data");
    const closing = far.close(10_000, new AbortController().signal);
    await eventually(() => expect(far.supervisor.links.size).toBe(0));
    socket.write("fo");
    await once(socket, "data");
    socket.end("re");
    expect(await read).toEqual({ bytes: Buffer.from("before"), end: "end" });
    expect(await closing).toBe(0);
  });

  test.each(["near", "far"] as const)(
    "what is left when the %s end has drained is reset on both sides",
    async (which) => {
      const target = keep();
      const { connect, near, far } = await tunnel(target.serve);
      const socket = await connect();
      const read = readAll(socket);
      await eventually(() => expect(target.sockets).toHaveLength(1));
      const atTarget = readAll(target.sockets[0] as net.Socket);
      const end = which === "near" ? near : far;
      expect(await end.close(100, new AbortController().signal)).toBe(1);
      expect((await read).end).toBe("ECONNRESET");
      expect((await atTarget).end).toBe("ECONNRESET");
    },
  );
});
