import { getEventListeners, once } from "node:events";
import net, { type AddressInfo, type LookupFunction } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { ignoreError } from "../../src/io/connection.ts";
import { DialError } from "../../src/io/dial-error.ts";
import {
  type AddressBook,
  type ConnectSocket,
  type DialOptions,
  type Endpoint,
  SystemDial,
} from "../../src/io/dial.ts";
import { deadSocket } from "../dead-socket.ts";
import { certificate, rawServer, serve, socketPath, unusedPort } from "../support.ts";

const system = new SystemDial(new SystemClock());
const dial = (endpoint: Endpoint, given: DialOptions): Promise<Duplex> => system.dial(endpoint, given);
const inOrder: AddressBook = {
  plan: (order) => ({ order, reserve: [], aloneMs: 0 }),
  dialled: () => {},
  failed: () => {},
  connected: () => {},
};
const options = (given: Partial<DialOptions> = {}): DialOptions => ({
  connectMs: 1_000,
  tlsMs: 1_000,
  tls: false,
  signal: new AbortController().signal,
  addresses: inOrder,
  socket: { localAddress: undefined, keepAlive: 0, noDelay: true },
  lookup: undefined,
  ...given,
});
const host = "127.0.0.1";

async function dialError(act: Promise<unknown>): Promise<DialError> {
  const error: unknown = await act.then(
    () => undefined,
    (problem: unknown) => problem,
  );
  expect(error).toBeInstanceOf(DialError);
  return error as DialError;
}

test("a connection without delay, over a port, a name, or a path", async () => {
  const port = await rawServer(() => {});
  for (const endpoint of [{ port, host }, { port }, { port, host: "localhost" }]) {
    const stream = await dial(endpoint, options());
    expect(stream).toBeInstanceOf(net.Socket);
    stream.destroy();
  }
  const path = await socketPath();
  await serve({ path });
  (await dial({ path }, options())).destroy();
});

test("a socket that was dialled keeps nothing of its dial: its listener for errors is that of all", async () => {
  const port = await rawServer(() => {});
  const sockets = [await dial({ port, host }, options()), await dial({ port, host }, options())];
  expect(sockets[0]?.listeners("error")).toEqual(sockets[1]?.listeners("error"));
  expect(sockets.flatMap((socket) => socket.eventNames())).not.toContain("connect");
  for (const socket of sockets) socket.destroy();
});

test("nor does one with TLS, of its handshake", async () => {
  const tls = await certificate();
  const { port } = await serve({ tls });
  const given = options({ tls: { ca: tls.cert } });
  const sockets = [await dial({ port, host }, given), await dial({ port, host }, given)];
  expect(sockets[0]?.listeners("error")).toContain(ignoreError);
  expect(sockets[0]?.listeners("error")).toEqual(sockets[1]?.listeners("error"));
  for (const socket of sockets) socket.destroy();
});

test("what the signal of a dial was listened to with is gone when the dial is over", async () => {
  const port = await rawServer(() => {});
  const { signal } = new AbortController();
  (await dial({ port, host }, options({ signal }))).destroy();
  await dialError(dial({ port: await unusedPort(), host }, options({ signal })));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("failures", () => {
  test("of a Unix socket say what to look for: nobody listens, it was left behind, its folder is missing", async () => {
    const [none, dead] = [await socketPath(), await socketPath()];
    await deadSocket(dead);
    const missing = join(dirname(none), "missing", "a.sock");
    const said = await Promise.all([none, dead, missing].map((path) => dialError(dial({ path }, options()))));
    expect(said.map(({ message }) => message)).toEqual([
      `${none}: nobody listens there: there is no such socket`,
      `${dead}: nobody listens there: the socket was left behind by a process that is gone`,
      `${missing}: its folder does not exist: ${dirname(missing)}`,
    ]);
    expect(said.map(({ cause }) => cause)).toMatchObject([
      { code: "ENOENT" },
      { code: "ECONNREFUSED" },
      { code: "ENOENT" },
    ]);
  });

  test("refused", async () => {
    const error = await dialError(dial({ port: await unusedPort(), host }, options()));
    expect(error).toMatchObject({ kind: "failed", cause: { code: "ECONNREFUSED" } });
  });

  test("a name that does not exist", async () => {
    expect(
      await dialError(dial({ port: 1, host: "no.such.host.invalid" }, options({ connectMs: 8_000 }))),
    ).toMatchObject({ kind: "failed" });
  });

  test("too slow", async () => {
    const port = await rawServer(() => {});
    const error = await dialError(dial({ port, host }, options({ tls: {}, tlsMs: 30 })));
    expect(error).toMatchObject({ kind: "timed-out", message: expect.stringContaining("30 ms") });
  });

  test("aborted, before and meanwhile", async () => {
    const port = await rawServer(() => {});
    const reason = new Error("mine");
    const early = await dialError(dial({ port, host }, options({ signal: AbortSignal.abort(reason) })));
    expect(early).toMatchObject({ kind: "aborted", cause: reason });
    const controller = new AbortController();
    const dialling = dialError(dial({ port, host }, options({ tls: {}, signal: controller.signal })));
    setImmediate(() => controller.abort(reason));
    expect(await dialling).toMatchObject({ kind: "aborted", cause: reason });
  });

  test("a certificate that is not trusted", async () => {
    const { port } = await serve({ tls: await certificate() });
    expect(await dialError(dial({ port, host: "localhost" }, options({ tls: {} })))).toMatchObject({
      kind: "certificate",
    });
  });

  test("whatever the failure, the socket is closed", async () => {
    let open = 0;
    const port = await rawServer((socket) => {
      open++;
      socket.resume();
      socket.on("close", () => open--);
    });
    await dialError(dial({ port, host }, options({ tls: {}, tlsMs: 20 })));
    await expect.poll(() => open).toBe(0);
    // Options that node:tls refuses at once.
    await expect(dial({ port, host }, options({ tls: { cert: "no certificate" } }))).rejects.toThrow();
    await expect.poll(() => open, { timeout: 1_000 }).toBe(0);
  });
});

describe("the addresses of a name", () => {
  /** The addresses that a dial finds instead of those of its endpoint. */
  const finding = (...found: string[]): AddressBook => ({ ...inOrder, plan: () => inOrder.plan(found) });
  /** Nobody answers a dial to an address of 192.0.2.0/24; 127.0.0.9 answers after 400 ms. */
  const network: ConnectSocket = (to) => {
    if (!("host" in to)) return net.connect(to);
    if (to.host?.startsWith("192.0.2.") === true) return new net.Socket();
    if (to.host !== "127.0.0.9") return net.connect(to);
    const socket = new net.Socket();
    setTimeout(() => void socket.connect(to), 400);
    return socket;
  };
  const raced = new SystemDial(new SystemClock(), network);
  const silent = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];

  test("four that are silent and one that answers at once: within 1.5 s", async () => {
    const port = await rawServer(() => {});
    const startedMs = performance.now();
    const chosen: string[] = [];
    const addresses = { ...finding(...silent, host), connected: (address: string) => void chosen.push(address) };
    const stream = await raced.dial({ port }, options({ addresses, connectMs: 10_000 }));
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(chosen).toEqual([host]);
    stream.destroy();
  });

  test("one that takes 400 ms is not given up for silent ones", async () => {
    const server = net.createServer().listen(0, "127.0.0.9");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const stream = await raced.dial(
      { port },
      options({ addresses: finding("127.0.0.9", ...silent), connectMs: 10_000 }),
    );
    expect((stream as net.Socket).remoteAddress).toBe("127.0.0.9");
    stream.destroy();
  });

  test("when none connects, each is told of with what it said", async () => {
    const port = await unusedPort();
    const failed: string[] = [];
    const addresses = {
      ...finding("127.0.0.1", "127.0.0.2"),
      failed: (address: string, error: Error) => void failed.push(`${address} ${error.message}`),
    };
    const error = await dialError(dial({ port }, options({ addresses })));
    expect(error).toMatchObject({
      kind: "failed",
      message: `connecting to localhost:${port} failed: 127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED`,
      cause: { code: "ECONNREFUSED", errors: [{ code: "ECONNREFUSED" }, { code: "ECONNREFUSED" }] },
    });
    expect(failed).toEqual([
      `127.0.0.1 connect ECONNREFUSED 127.0.0.1:${port}`,
      `127.0.0.2 connect ECONNREFUSED 127.0.0.2:${port}`,
    ]);
  });

  test("an error that the kernel has at once is told from one that came later", async () => {
    const told: unknown[] = [];
    const addresses = {
      ...finding("224.0.0.1", "192.0.2.1"),
      failed: (address: string, error: Error & { code?: string }, isAtOnce: boolean) =>
        void told.push([address, error.code, isAtOnce]),
    };
    const unreachable = Object.assign(new Error("a router says so"), { code: "ENETUNREACH" });
    const routed = new SystemDial(new SystemClock(), (to) => {
      if ("host" in to && to.host === "224.0.0.1") return net.connect(to);
      const socket = new net.Socket();
      setTimeout(() => socket.destroy(unreachable), 10);
      return socket;
    });
    await dialError(routed.dial({ port: 9 }, options({ addresses })));
    // No TCP connection goes to a group: the kernel refuses it without asking anybody.
    expect(told).toEqual([
      ["224.0.0.1", "ENETUNREACH", true],
      ["192.0.2.1", "ENETUNREACH", false],
    ]);
  });

  test("and those that have not answered in time", async () => {
    const port = await unusedPort();
    const dialled: string[] = [];
    const addresses = { ...finding(host, "192.0.2.1"), dialled: (address: string) => void dialled.push(address) };
    expect(await dialError(raced.dial({ port }, options({ addresses, connectMs: 50 })))).toMatchObject({
      kind: "timed-out",
      message: `connecting to localhost:${port} took more than 50 ms: 127.0.0.1 ECONNREFUSED, 192.0.2.1 no answer`,
    });
    expect(dialled).toEqual([host, "192.0.2.1"]);
  });

  test("the sockets of those that lost are destroyed, and only then", async () => {
    const port = await rawServer(() => {});
    const sockets: net.Socket[] = [];
    let destroyedBefore: boolean | undefined;
    const kept = new SystemDial(new SystemClock(), (to) => {
      destroyedBefore = sockets[0]?.destroyed;
      const socket = network(to);
      sockets.push(socket);
      return socket;
    });
    const stream = await kept.dial({ port }, options({ addresses: finding("192.0.2.1", host) }));
    stream.destroy();
    expect(destroyedBefore).toBe(false);
    expect(sockets.map((socket) => socket.destroyed)).toEqual([true, true]);
  });

  test.each([["::1"], ["[::1]"]])("%s is an address, and no name", async (address) => {
    const server = net.createServer().listen(0, "::1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    let found: readonly string[] = [];
    const addresses: AddressBook = {
      ...inOrder,
      plan: (given) => {
        found = given;
        return inOrder.plan(given);
      },
    };
    (await dial({ port, host: address }, options({ addresses }))).destroy();
    expect(found).toEqual(["::1"]);
  });
});

describe("the options of sockets", () => {
  /** What net.connect() was given. */
  async function given(socket: Partial<DialOptions["socket"]>, ...found: string[]): Promise<net.NetConnectOpts[]> {
    const port = await rawServer(() => {});
    const seen: net.NetConnectOpts[] = [];
    const watched = new SystemDial(new SystemClock(), (to) => {
      seen.push(to);
      return net.connect(to);
    });
    const lookup: LookupFunction = (_, __, answer) =>
      answer(
        null,
        found.map((address) => ({ address, family: net.isIP(address) })),
      );
    const defaults = { localAddress: undefined, keepAlive: 0, noDelay: true };
    const stream = await watched.dial(
      { port, host: "a.example" },
      options({ lookup, socket: { ...defaults, ...socket } }),
    );
    stream.destroy();
    return seen.map(({ port: _, ...others }: Partial<net.TcpNetConnectOpts>) => others) as net.NetConnectOpts[];
  }

  test("without any: no delay, and none of the kernel's probes", async () => {
    expect(await given({}, host)).toEqual([{ host, noDelay: true }]);
  });

  test("each reaches the socket", async () => {
    expect(await given({ noDelay: false, keepAlive: 60_000, localAddress: "127.0.0.3" }, host)).toEqual([
      { host, noDelay: false, keepAlive: true, keepAliveInitialDelay: 60_000, localAddress: "127.0.0.3" },
    ]);
  });

  test("the server sees the local address", async () => {
    const seen: unknown[] = [];
    const port = await rawServer((socket) => void seen.push(socket.remoteAddress));
    const socket = { localAddress: "127.0.0.3", keepAlive: 0, noDelay: true };
    const stream = await dial({ port, host }, options({ socket }));
    await expect.poll(() => seen).toEqual(["127.0.0.3"]);
    stream.destroy();
  });

  test("addresses of another family than the local one are not dialled", async () => {
    const dialled = await given({ localAddress: "127.0.0.3" }, "::1", host);
    expect(dialled).toMatchObject([{ host }]);
    expect(await dialError(given({ localAddress: "127.0.0.3" }, "::1"))).toMatchObject({
      kind: "failed",
      message: expect.stringMatching(/^a\.example:\d+ has no address of the family of the local address 127\.0\.0\.3$/),
    });
  });
});
