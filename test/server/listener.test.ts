import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import type { Connection } from "../../src/link/ports.ts";
import { Listener, type ListenerOptions } from "../../src/server/listener.ts";
import { certificate, eventually, failure, rawClient } from "../support.ts";

function setUp(options: Partial<ListenerOptions> = {}) {
  const accepted: Connection[] = [];
  const secured: Connection[] = [];
  const failed: Array<{ remoteAddress: string; reason: string }> = [];
  const listener = new Listener({
    where: { port: 0, host: "127.0.0.1" },
    tls: undefined,
    tlsMs: 1_000,
    accept: (connection) => {
      accepted.push(connection);
      return { secured: (connected) => void secured.push(connected) };
    },
    onTlsFailed: (remoteAddress, reason) => void failed.push({ remoteAddress, reason }),
    ...options,
  });
  onTestFinished(() => {
    listener.stopListening();
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
  const { port } = await listener.listen();
  const raw = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  expect(listener.sockets).toBe(1);
  raw.socket.end();
  await raw.closed;
  await eventually(() => expect(listener.sockets).toBe(0));
});

test("a TLS handshake that fails is told of once, one that takes too long is closed", async () => {
  const { listener, accepted, secured, failed } = setUp({ tls: await certificate(), tlsMs: 80 });
  const { port } = await listener.listen();
  const garbage = await rawClient(port);
  garbage.socket.write("GET / HTTP/1.1\r\n\r\n");
  await garbage.closed;
  expect(failed).toEqual([{ remoteAddress: "127.0.0.1", reason: expect.any(String) }]);
  const silent = await rawClient(port);
  await silent.closed;
  expect(failed).toHaveLength(2);
  expect([accepted.length, secured.length]).toEqual([2, 0]);
});

test("a connection that is given up while TLS shakes hands is closed, and not told of", async () => {
  const { listener, accepted, failed } = setUp({ tls: await certificate() });
  const { port } = await listener.listen();
  const raw = await rawClient(port);
  await eventually(() => expect(accepted).toHaveLength(1));
  accepted[0]?.end([Buffer.from("nobody can read this")]);
  await raw.closed;
  await eventually(() => expect(listener.sockets).toBe(0));
  expect([raw.bytes.length, failed]).toEqual([0, []]);
});

test.each(["a port", "a Unix socket"])("on %s each TLS handshake is told from the others", async (where) => {
  const at = where === "a port" ? { port: 0, host: "127.0.0.1" } : { path: await unusedPath() };
  const { cert, key } = await certificate();
  const { listener, accepted, secured, failed } = setUp({ where: at, tls: { cert, key } });
  const { port, host } = await listener.listen();
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
  expect([listener.sockets, failed]).toEqual([1, []]);
});

test("LISTEN_FAILED with what to do", async () => {
  const blocker = net.createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  onTestFinished(() => void blocker.close());
  const { port } = blocker.address() as net.AddressInfo;
  const { listener } = setUp({ where: { port, host: "127.0.0.1" } });
  const error = await failure(listener.listen());
  expect(error.code).toBe("LISTEN_FAILED");
  expect(error.message).toBe(
    `cannot listen on port ${port}: another process listens there: stop it, or choose another`,
  );
});
