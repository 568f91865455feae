import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import tls from "node:tls";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import type { Connection } from "../../src/link/ports.ts";
import { Access } from "../../src/server/access.ts";
import { Listener, type ListenerOptions } from "../../src/server/listener.ts";
import { ListenerFilter } from "../../src/server/listener-filter.ts";
import type { Certificate } from "../certificate.ts";
import { certificate, eventually, failure, rawClient, refusal } from "../support.ts";

const ANY_PORT = { port: 0, host: "127.0.0.1" };

function setUp(options: Partial<ListenerOptions> = {}) {
  const accepted: Connection[] = [];
  const secured: Connection[] = [];
  const failed: Array<{ remoteAddress: string; reason: string }> = [];
  const filter = new ListenerFilter({
    access: new Access({}),
    proxies: undefined,
    headerMs: 1_000,
    mostHeaders: 10,
    clock: new SystemClock(),
    onRejected: () => {},
    onCrowdedOut: () => {},
  });
  const listener = new Listener({
    tls: false,
    filter,
    tlsMs: 1_000,
    allowHalfOpen: false,
    accept: (connection) => {
      accepted.push(connection);
      return { secured: (connected) => void secured.push(connected) };
    },
    onTlsFailed: (remoteAddress, reason) => void failed.push({ remoteAddress, reason }),
    keeping: { clock: new SystemClock(), selfProbeMs: 0, onChange: () => {}, onFailed: () => {}, onShort: () => {} },
    ...options,
  });
  onTestFinished(() => {
    listener.acceptors.stopListening();
    listener.destroyAll();
  });
  return { listener, accepted, secured, failed };
}

/** A path for a Unix socket that nobody listens on. */
async function unusedPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, "socket");
}

test("counts what it accepted until it is closed", async () => {
  const { listener, accepted } = setUp();
  const { port } = await listener.acceptors.listen([ANY_PORT]);
  const raw = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  expect(listener.streams).toBe(1);
  raw.socket.end();
  await raw.closed;
  await eventually(() => expect(listener.streams).toBe(0));
});

test("streams are destroyed, also after one whose destroy() throws; one that cannot be read is not kept", () => {
  const { listener, accepted } = setUp();
  const streams = [1, 2, 3].map(() => new PassThrough());
  const [first, second, third] = streams as [PassThrough, PassThrough, PassThrough];
  second.resume = first.destroy = () => {
    throw new Error("mine");
  };
  listener.accept(first, undefined);
  expect(refusal(() => listener.accept(second, undefined)).code).toBe("INVALID_ARGUMENT");
  listener.accept(third, undefined);
  expect([listener.streams, accepted.length, second.destroyed]).toEqual([2, 2, true]);
  listener.destroyAll();
  expect(third.destroyed).toBe(true);
});

describe("a stream that never emits 'close' leaves the table when its connection ends", () => {
  const silent = (): Duplex => new Duplex({ emitClose: false, read() {}, write: (_chunk, _encoding, done) => done() });

  test.each<[string, (stream: Duplex, connection: Connection) => void]>([
    ["given up by us", (_, connection) => connection.destroy()],
    ["failed", (stream) => void stream.destroy(new Error("mine"))],
    ["ended by its peer", (stream) => void stream.push(null)],
    [
      "failed, and cannot be destroyed",
      (stream) => void Object.assign(stream, BROKEN).emit("error", new Error("mine")),
    ],
  ])("%s", async (_, end) => {
    const { listener, accepted } = setUp();
    const stream = silent();
    listener.accept(stream, undefined);
    expect(listener.streams).toBe(1);
    end(stream, accepted[0] as Connection);
    await eventually(() => expect(listener.streams).toBe(0));
  });

  test("failed while it begins to flow: nobody is handed it", () => {
    const { listener, accepted } = setUp();
    const stream = silent();
    stream.resume = () => (stream.emit("error", new Error("mine")), stream);
    listener.accept(stream, undefined);
    expect([listener.streams, accepted.length, stream.destroyed]).toEqual([0, 0, true]);
  });

  const BROKEN = {
    destroy(): never {
      throw new Error("mine");
    },
  };
});

test("a TLS handshake that fails is told of once, one that takes too long is closed", async () => {
  const { listener, accepted, secured, failed } = setUp({ tls: await certificate(), tlsMs: 80 });
  const { port } = await listener.acceptors.listen([ANY_PORT]);
  const garbage = await rawClient(port);
  garbage.socket.write("GET / HTTP/1.1\r\n\r\n");
  await garbage.closed;
  expect(failed).toEqual([{ remoteAddress: "127.0.0.1", reason: expect.any(String) }]);
  const silent = await rawClient(port);
  await silent.closed;
  expect(failed).toHaveLength(2);
  expect([accepted.length, secured.length]).toEqual([2, 0]);
});

test("who is gone when its TLS handshake has failed is told of with its address", async () => {
  const { listener, accepted, failed } = setUp({ tls: await certificate() });
  const { port } = await listener.acceptors.listen([ANY_PORT]);
  const { socket } = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  socket.resetAndDestroy();
  await eventually(() => expect(failed).toEqual([{ remoteAddress: "127.0.0.1", reason: expect.any(String) }]));
  expect(accepted[0]?.remoteAddress).toBe("127.0.0.1");
});

test("a connection has the same address before and after its TLS handshake, and when it is closed", async () => {
  const { listener, accepted, secured } = setUp({ tls: await certificate() });
  const { port } = await listener.acceptors.listen([ANY_PORT]);
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.on("error", () => {});
  await eventually(() => expect(secured).toHaveLength(1));
  socket.destroy();
  await eventually(() => expect(listener.streams).toBe(0));
  expect([...accepted, ...secured].map(({ remoteAddress }) => remoteAddress)).toEqual(["127.0.0.1", "127.0.0.1"]);
});

test("a connection that is given up while TLS shakes hands is closed, and not told of", async () => {
  const { listener, accepted, failed } = setUp({ tls: await certificate() });
  const { port } = await listener.acceptors.listen([ANY_PORT]);
  const raw = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  accepted[0]?.end([Buffer.from("nobody can read this")]);
  await raw.closed;
  await eventually(() => expect(listener.streams).toBe(0));
  expect([raw.bytes.length, failed]).toEqual([0, []]);
});

test.each(["a port", "a Unix socket"])("on %s each TLS handshake is told from the others", async (where) => {
  const at = where === "a port" ? ANY_PORT : { path: await unusedPath() };
  const { cert, key } = await certificate();
  const { listener, accepted, secured, failed } = setUp({ tls: { cert, key } });
  const { port, host } = await listener.acceptors.listen([at]);
  const to = "path" in at ? { path: at.path } : { port, host };
  const silent = net.connect(to).on("error", () => {});
  onTestFinished(() => void silent.destroy());
  await eventually(() => expect(accepted).toHaveLength(1));
  const secure = tls.connect({ ...to, ca: cert, servername: "localhost" });
  onTestFinished(() => void secure.destroy());
  await once(secure, "secureConnect");
  await eventually(() => expect(secured).toHaveLength(1));
  // The one that is silent can be given up, and the other goes on.
  accepted[0]?.destroy();
  await once(silent, "close");
  secured[0]?.write([Buffer.from("hello")]);
  const [heard] = (await once(secure, "data")) as [Buffer];
  expect(String(heard)).toBe("hello");
  expect([listener.streams, failed]).toEqual([1, []]);
});

/** With an error or without. */
function closed(socket: net.Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once("close", resolve));
}

describe("an SNICallback", () => {
  async function names(SNICallback: (name: string, answer: (error: Error | null) => void) => void) {
    const pem = await certificate();
    const { listener, secured: accepted } = setUp({ tls: { ...pem, SNICallback } });
    const { port } = await listener.acceptors.listen([ANY_PORT]);
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca: pem.cert });
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    return { socket, accepted };
  }

  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("no such name");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no such name"))],
  ])("that %s loses the connection, not the process", async (_, act) => {
    const { socket, accepted } = await names(() => act() as void);
    await closed(socket);
    expect(accepted).toEqual([]);
  });

  test("that answers twice, or with no context, serves the server's own certificate", async () => {
    const { socket, accepted } = await names((_, answer) => {
      answer(null);
      answer(new Error("again"));
    });
    await once(socket, "secureConnect");
    await eventually(() => expect(accepted).toHaveLength(1));
  });
});

describe("a secure context that is renewed", () => {
  /** Which certificate is served, and what is thrown. */
  async function served(port: number): Promise<string> {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()?.subject ?? "";
  }

  test("leaves what is not given as it is: whom clients are to be known by", async () => {
    const [pem, next, client, stranger] = await Promise.all(
      ["localhost", "next.example", "client.example", "stranger.example"].map((name) => certificate(name)),
    );
    const { listener, secured: accepted } = setUp({
      tls: { ...(pem as Certificate), ca: client?.cert, requestCert: true, rejectUnauthorized: true },
    });
    const { port } = await listener.acceptors.listen([ANY_PORT]);
    listener.setSecureContext({ key: next?.key, cert: next?.cert, ca: undefined });
    const outcome = async (shown: Certificate | undefined): Promise<boolean> => {
      const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...shown });
      socket.on("error", () => {});
      await closed(socket);
      return accepted.length > 0;
    };
    expect(await outcome(stranger)).toBe(false);
    const known = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...client });
    onTestFinished(() => void known.destroy());
    await eventually(() => expect(accepted).toHaveLength(1));
    expect(known.getPeerX509Certificate()?.subject).toContain("next.example");
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["no options", "s3cr3t"],
    ["nothing in them", {}],
    ["nothing but undefined", { key: undefined, cert: undefined }],
    ["what node:tls refuses", { key: "s3cr3t", cert: "s3cr3t" }],
    ["a certificate of another key", "other"],
  ])("is refused, and nothing changes: %s", async (_, given) => {
    const { listener } = setUp({ tls: await certificate() });
    const { port } = await listener.acceptors.listen([ANY_PORT]);
    const other = await certificate("other.example");
    const options = given === "other" ? { cert: other.cert } : given;
    const error = await failure(() => listener.setSecureContext(options as never));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: expect.stringMatching(/^tls(\.cert)?$/) } });
    expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
    expect(await served(port)).toContain("localhost");
  });
});

test("LISTEN_FAILED with what to do", async () => {
  const blocker = net.createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  onTestFinished(() => void blocker.close());
  const { port } = blocker.address() as net.AddressInfo;
  const { listener } = setUp();
  const error = await failure(listener.acceptors.listen([{ port, host: "127.0.0.1" }]));
  expect(error.code).toBe("LISTEN_FAILED");
  expect(error.message).toBe(
    `cannot listen on 127.0.0.1:${port}: another process listens there, or another server of this one: stop it, or choose another`,
  );
});
