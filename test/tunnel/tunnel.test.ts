/** Both ends of a tunnel, and the path between them. */
import { once } from "node:events";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { eventually } from "../support.ts";
import { readAll, tunnel } from "./stage.ts";

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
    const { connect, lines, near } = await tunnel(echo, {
      near: { forwards: [{ listen: { port: 0, host: "127.0.0.1" }, to: `127.0.0.1:${await closedPort()}` }] },
    });
    for (let n = 0; n < 2; n++) {
      const socket = await connect();
      const read = readAll(socket);
      socket.write("never read");
      expect((await read).end).toBe("ECONNRESET");
    }
    await eventually(() => expect(near.connections).toBe(0));
    expect(lines.filter(({ event }) => event === "tunnel.refused")).toHaveLength(2);
    expect(lines.find(({ at, event }) => at === "near" && event === "tunnel.connection")?.text).toContain(
      "refuses connections",
    );
    // The link that carried the first carries the second, too.
    expect(near.manager.stats().events.ended["aborted"] ?? 0).toBe(0);
  });

  test("slow readers hold the other side up", async () => {
    const { connect, near } = await tunnel((socket) => {
      const chunk = Buffer.alloc(65_536);
      const go = (): void => {
        while (socket.write(chunk));
      };
      socket.on("drain", go).on("error", () => {});
      go();
    });
    const socket = await connect();
    socket.pause();
    const { manager } = near;
    await eventually(() => expect(manager.stats().received.bytes).toBeGreaterThan(100_000));
    let before = -1;
    await eventually(() => {
      const { bytes } = manager.stats().received;
      const stands = bytes === before;
      before = bytes;
      expect(stands).toBe(true);
    });
    expect(before).toBeLessThan(16 * 1_048_576);
    socket.destroy();
  });
});

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
