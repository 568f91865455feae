/** Streams that a `connect` of the application's may give. */
import { EventEmitter, once } from "node:events";
import net from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { echo, eventually, manage, QUICK, receiveText, relayTo, serve, turned, WATCHFUL } from "../support.ts";
import { expectRetried, SECRET } from "./attempts.ts";

describe("connect", () => {
  /** Through a stream that `made` has got its hands on. */
  async function expectWorks(made: (socket: net.Socket) => Duplex | Promise<Duplex>): Promise<void> {
    const { port } = await serve({}, echo);
    const streams: Duplex[] = [];
    // The link may ask for another when the test is over, where nothing can be registered any more.
    const sockets: net.Socket[] = [];
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const link = manage().open({
      reconnect: QUICK,
      connect: async () => {
        const socket = net.connect(port, "127.0.0.1");
        sockets.push(socket);
        await once(socket, "connect");
        const stream = await made(socket);
        streams.push(stream);
        return stream;
      },
    });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    streams[0]?.destroy();
    await link.send("two");
    expect(await receiveText(link)).toBe("two");
    expect(streams).toHaveLength(2);
  }

  async function expectFails(connect: () => unknown, saying: RegExp): Promise<void> {
    const { port } = await serve();
    let isRight = false;
    const link = manage().open({
      reconnect: QUICK,
      connect: async () => (isRight ? net.connect(port, "127.0.0.1") : ((await connect()) as Duplex)),
    });
    await expectRetried(link, "CONNECT_FAILED", saying);
    isRight = true;
    await link.connected();
  }

  test("may give a stream that is paused", () => expectWorks((socket) => socket.pause()));

  test("may give a socket that is still connecting", async () => {
    const { port } = await serve({}, echo);
    const link = manage().open({ connect: () => net.connect(port, "127.0.0.1") });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    expect(link.remoteAddress).toBe("127.0.0.1");
  });

  test("may give a stream whose 'readable' had a listener", () =>
    expectWorks(async (socket) => {
      socket.once("readable", () => {});
      socket.removeAllListeners("readable");
      return socket;
    }));

  test("may give a stream of another stream library, with bytes of another realm", () =>
    expectWorks((socket) => foreign(socket)));

  test.each<[string, () => unknown, RegExp]>([
    ["nothing", () => undefined, /gave no stream\.Duplex$/],
    ["an object", () => ({ token: SECRET }), /gave no stream\.Duplex$/],
    ["text", () => SECRET, /gave no stream\.Duplex$/],
    ["a Readable", () => Object.assign(new PassThrough(), { write: undefined }), /gave no stream\.Duplex$/],
    ["closed", () => new PassThrough().destroy(), /gave a stream that has ended, or was closed$/],
    ["ended by us", () => new PassThrough().end(), /gave a stream that has ended, or was closed$/],
    [
      "of text",
      () => new PassThrough().setEncoding("utf8"),
      /gave a stream that setEncoding\(\) has made one of text$/,
    ],
    ["of objects", () => new PassThrough({ objectMode: true }), /gave a stream of objects, not of bytes$/],
    ["read by another", () => new PassThrough().on("readable", () => {}), /a listener for 'readable' still$/],
  ])("what cannot be used fails the attempt: %s", (_, connect, saying) => expectFails(connect, saying));

  test("so does a stream that has ended at the other end", () =>
    expectFails(async () => {
      const stream = new Duplex({ read() {}, write: (_, __, done) => done() });
      stream.push(null);
      stream.resume();
      await once(stream, "end");
      return stream;
    }, /gave a stream that has ended, or was closed$/));

  test("what cannot be used is closed, and its errors end nothing", async () => {
    const given: PassThrough[] = [];
    const link = manage().open({
      reconnect: QUICK,
      connect: () => {
        const stream = new PassThrough({
          destroy: (_, done) => done(new Error("cannot close")),
        });
        given.push(stream);
        return stream.setEncoding("utf8");
      },
    });
    await eventually(() => expect(given.length).toBeGreaterThan(2));
    expect(given.slice(0, 2).map(({ destroyed }) => destroyed)).toEqual([true, true]);
    await link.close();
  });

  test("a stream that is given twice serves the connection it was given for first", async () => {
    const { port } = await serve({}, echo);
    const relay = await relayTo(port);
    const streams: net.Socket[] = [];
    let isFresh = true;
    let stale = 0;
    const link = manage().open({
      keepalive: WATCHFUL,
      reconnect: QUICK,
      connect: async () => {
        if (isFresh) {
          const socket = net.connect(relay.port, "127.0.0.1");
          streams.push(socket);
          await once(socket, "connect");
        } else stale++;
        return streams.at(-1) as net.Socket;
      },
    });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    await link.flush();
    isFresh = false;
    relay.stall();
    await turned(link, "suspect");
    await eventually(() => expect(stale).toBeGreaterThan(1), 5_000);
    relay.heal();
    await link.send("two");
    expect(await receiveText(link)).toBe("two");
    expect(streams).toHaveLength(1);
  });

  test("text that comes later ends the connection, not the process", async () => {
    const { port } = await serve({}, echo);
    let socket: net.Socket | undefined;
    const link = manage().open({
      reconnect: QUICK,
      connect: () => (socket = net.connect(port, "127.0.0.1")),
    });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    const lost = turned(link, "connecting");
    socket?.setEncoding("utf8");
    await link.send("two");
    expect(await lost).toMatchObject({ reason: "text came, not bytes" });
    expect(await receiveText(link)).toBe("two");
  });

  test("a stream that throws where it should call back, or fails with nothing, loses the connection", async () => {
    const { port } = await serve();
    const seen: string[] = [];
    const link = manage().open({
      reconnect: QUICK,
      connect: ({ number }) => {
        if (number === 1) {
          return Object.assign(new PassThrough(), {
            write: () => {
              throw new Error("not today\n");
            },
          });
        }
        if (number === 2) return new Duplex({ read() {}, write: (_, __, done) => done("a word" as never) });
        return net.connect(port, "127.0.0.1");
      },
    });
    link.on("state", (change) => {
      if (change.to === "reconnecting") seen.push(change.error?.message ?? "");
    });
    await link.connected();
    expect(seen).toEqual(["the attempt failed: not today\\n", "the attempt failed: failed"]);
  });

  test("a stream that comes when nobody wants it any more is destroyed", async () => {
    const stream = Promise.withResolvers<PassThrough>();
    const asked = Promise.withResolvers<void>();
    const link = manage().open({
      connect: () => {
        asked.resolve();
        return stream.promise;
      },
    });
    await asked.promise;
    await link.close();
    const late = new PassThrough();
    stream.resolve(late);
    await eventually(() => expect(late.destroyed).toBe(true), 1_000);
  });
});

/** Does what a Duplex of the package readable-stream does, and is none of node:stream. */
function foreign(socket: net.Socket): Duplex {
  const stream = Object.assign(new EventEmitter(), {
    write: (chunk: Buffer) => socket.write(chunk),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    resume: () => socket.resume(),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    readable: true,
    writable: true,
  });
  Object.defineProperty(stream, "writableLength", { get: () => socket.writableLength });
  socket.on("data", (chunk) => stream.emit("data", new Uint8Array(chunk)));
  for (const name of ["drain", "end", "error", "close"]) socket.on(name, (what) => stream.emit(name, what));
  return stream as unknown as Duplex;
}

test.each(Array.from({ length: 12 }, (_, ticks) => ticks))(
  "a stream that is given while the link ends is destroyed, %i microtasks later",
  async (ticks) => {
    const stream = new PassThrough();
    const link = manage().open({
      connect: async () => {
        void endAfter(ticks);
        return stream;
      },
    });
    const endAfter = async (left: number): Promise<void> => {
      for (let n = 0; n < left; n++) await Promise.resolve();
      link.abort();
    };
    await link.closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.destroyed).toBe(true);
  },
);
