/** An address that is lost, and comes back. */
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { unlink } from "node:fs/promises";
import net from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Acceptor, type AcceptorHost, type ListenerChange } from "../../../src/server/listening/acceptor.ts";
import type { Place } from "../../../src/server/listening/places.ts";
import { eventually, ManualClock, socketPath } from "../../support.ts";
import { connects } from "../connects.ts";

const ANY_PORT: Place = { port: 0, host: "127.0.0.1" };

async function accepting(place: Place, options: Partial<AcceptorHost> = {}) {
  const made = vi.spyOn(net, "createServer");
  onTestFinished(() => made.mockRestore());
  const clock = new ManualClock(1_000);
  const changes: ListenerChange[] = [];
  const failures: string[] = [];
  const sockets: net.Socket[] = [];
  const acceptor = new Acceptor(place, {
    clock,
    sockets: {},
    selfProbeMs: 0,
    onSocket: (socket) => void sockets.push(socket.on("error", () => {})),
    onChange: (change) => void changes.push(change),
    onFailed: ({ message }) => void failures.push(message),
    ...options,
  });
  onTestFinished(() => {
    acceptor.stop();
    for (const socket of sockets) socket.destroy();
  });
  const address = await acceptor.listen();
  const client = async (): Promise<net.Socket> => {
    const socket = net.connect("path" in place ? { path: place.path } : address).on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  /** The present net.Server. */
  const server = (): net.Server => made.mock.results.at(-1)?.value as net.Server;
  return { acceptor, address, changes, clock, failures, sockets, client, server };
}

const LONGEST_PAUSE_MS = 30_000;

test("an error of the listener: it listens again on the same port, and connections live on", async () => {
  const { acceptor, address, changes, clock, sockets, client, server } = await accepting(ANY_PORT);
  const before = await client();
  await eventually(() => expect(sockets).toHaveLength(1));
  server().emit("error", new Error("mine"));
  expect(changes).toEqual([{ type: "lost", ...address, reason: "mine", downMs: 0 }]);
  expect(acceptor.lost).toBe(`not listening on 127.0.0.1:${address.port}: mine`);
  expect(acceptor.stats()).toMatchObject({ state: "lost", reason: "mine", restarts: 0 });
  expect(await connects(address.port)).toBe(false);
  clock.pass(200);
  await eventually(() => expect(changes).toHaveLength(2));
  expect(changes[1]).toEqual({ type: "restored", ...address, reason: "mine", downMs: expect.any(Number) });
  expect(acceptor.lost).toBe(undefined);
  await client();
  await eventually(() => expect(acceptor.accepted).toBe(2));
  sockets[0]?.write("still here");
  expect(String((await once(before, "data"))[0])).toBe("still here");
  expect(acceptor.stats()).toEqual({ ...address, state: "listening", accepted: 2, restarts: 1, probe: "off" });
});

test("its close from elsewhere is the same", async () => {
  const { changes, clock, server } = await accepting(ANY_PORT);
  server().close();
  await eventually(() => expect(changes).toHaveLength(1));
  clock.pass(200);
  await eventually(() => expect(changes.map(({ type }) => type)).toEqual(["lost", "restored"]));
});

test("a port that another has taken is tried for as long as it takes, in pauses that have a bound", async () => {
  const { acceptor, address, changes, clock, server } = await accepting(ANY_PORT);
  server().close();
  await eventually(() => expect(changes).toHaveLength(1));
  const blocker = net.createServer().listen(address);
  await once(blocker, "listening");
  for (let n = 0; n < 10; n++) {
    const tried = net.createServer as unknown as { mock: { calls: unknown[] } };
    const before = tried.mock.calls.length;
    await eventually(() => {
      clock.pass(LONGEST_PAUSE_MS);
      expect(tried.mock.calls.length).toBeGreaterThan(before);
    });
    await eventually(() => expect(acceptor.lost).toContain("another process listens there"));
  }
  expect(changes).toHaveLength(1);
  blocker.close();
  await once(blocker, "close");
  await eventually(() => {
    clock.pass(LONGEST_PAUSE_MS);
    expect(changes).toHaveLength(2);
  });
  expect(changes[1]).toMatchObject({ type: "restored", reason: "it was closed" });
});

test("a listener that fails again and again is restarted more and more slowly", async () => {
  const { changes, clock, server } = await accepting(ANY_PORT);
  let passedMs = 0;
  for (let losses = 1; losses <= 14; losses++) {
    server().emit("error", new Error("mine"));
    while (changes.length < 2 * losses) {
      clock.pass(50);
      passedMs += 50;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  // Ten times at once, as a whole within two seconds, and then at least an eighth of a second apart.
  expect(passedMs).toBeGreaterThan(500);
});

test("one that is stopped does not come back, whether it listens or not", async () => {
  const { acceptor, address, changes, clock, server } = await accepting(ANY_PORT);
  server().emit("error", new Error("mine"));
  acceptor.stop();
  clock.pass(LONGEST_PAUSE_MS);
  await new Promise((resolve) => setImmediate(resolve));
  expect(changes).toHaveLength(1);
  expect(await connects(address.port)).toBe(false);
  const other = await accepting(ANY_PORT);
  const stopped = other.server();
  other.acceptor.stop();
  await once(stopped, "close");
  expect(other.changes).toEqual([]);
});

test("a Unix socket comes back with its mode", async () => {
  const path = await socketPath();
  const { changes, clock, client, server } = await accepting({ path, mode: 0o600 });
  server().emit("error", new Error("mine"));
  clock.pass(200);
  await eventually(() => expect(changes).toHaveLength(2));
  await client();
});

/** A net.Server that was given a descriptor. */
function inherited(address: net.AddressInfo | null) {
  const fake = Object.assign(new EventEmitter(), {
    listening: true,
    listen: (_: unknown, onListening: () => void) => onListening(),
    address: () => address,
    close: () => {},
  });
  const made = vi.spyOn(net, "createServer").mockReturnValue(fake as unknown as net.Server);
  onTestFinished(() => made.mockRestore());
  return { fake, made };
}

test("a descriptor cannot be bound again, and is not closed to save descriptors", async () => {
  const { fake, made } = inherited({ address: "127.0.0.1", port: 1, family: "IPv4" });
  const { acceptor, changes, clock, failures } = await accepting({ fd: 3 });
  acceptor.suspend("no file descriptor is left");
  expect(acceptor.stats().state).toBe("listening");
  fake.emit("error", new Error("mine"));
  expect(failures).toEqual(["cannot listen on file descriptor 3: mine, and it cannot be bound again"]);
  clock.pass(LONGEST_PAUSE_MS);
  expect([acceptor.stats().state, changes, made.mock.calls.length]).toEqual(["failed", [], 1]);
});

test("a Unix socket that was given as a descriptor has no path that Node knows", async () => {
  const { fake } = inherited(null);
  const { acceptor, address } = await accepting({ fd: 4 });
  expect(address).toEqual({ host: "file descriptor 4", port: 0 });
  fake.emit("error", new Error("mine"));
  expect(acceptor.lost).toBe("not listening on file descriptor 4: mine");
});

test("one that is suspended waits until it is resumed", async () => {
  const { acceptor, address, changes, clock } = await accepting(ANY_PORT);
  acceptor.suspend("no file descriptor is left");
  expect(acceptor.stats()).toMatchObject({ state: "lost", reason: "no file descriptor is left" });
  acceptor.suspend("once more");
  clock.pass(LONGEST_PAUSE_MS);
  expect(clock.isAwaited).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect([changes.length, await connects(address.port)]).toEqual([1, false]);
  acceptor.resume();
  clock.pass(0);
  await eventually(() => expect(changes.map(({ type }) => type)).toEqual(["lost", "restored"]));
  acceptor.resume();
  clock.pass(0);
  expect(await connects(address.port)).toBe(true);
});

const SOURCES = new URL("../../../src/", import.meta.url).href;

test("a process whose only listener is suspended goes on, and listens again", async () => {
  const program = `
    import { SystemClock } from "${SOURCES}io/clock.ts";
    import { Acceptor } from "${SOURCES}server/listening/acceptor.ts";
    const acceptor = new Acceptor({ port: 0, host: "127.0.0.1" }, {
      clock: new SystemClock(),
      sockets: {},
      selfProbeMs: 0,
      onSocket: () => {},
      onFailed: () => {},
      onChange: ({ type }) => {
        console.log(type);
        if (type === "restored") acceptor.stop();
      },
    });
    await acceptor.listen();
    acceptor.suspend("no file descriptor is left");
    // As the samples of the reserve, which keep no process alive.
    setTimeout(() => acceptor.resume(), 20).unref();
  `;
  const child = spawn(process.execPath, ["--no-warnings", "--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill());
  expect(await text(child.stdout)).toBe("lost\nrestored\n");
});

describe("the self-probe", () => {
  const PROBED: Partial<AcceptorHost> = { selfProbeMs: 10_000 };

  test.each(["a port", "every address", "every IPv6 address", "a path"])("finds that %s accepts", async (where) => {
    const place: Place =
      where === "a path"
        ? { path: await socketPath() }
        : { port: 0, host: { "a port": "127.0.0.1", "every address": "0.0.0.0" }[where] ?? "::" };
    const { acceptor, changes, clock, sockets, client } = await accepting(place, PROBED);
    expect(acceptor.stats().probe).toBe("none");
    clock.pass(10_000);
    await eventually(() => expect(acceptor.stats().probe).toBe("accepts"));
    expect([acceptor.accepted, sockets, changes]).toEqual([0, [], []]);
    await client();
    await eventually(() => expect(sockets).toHaveLength(1));
  });

  test("is made once, and then not where a client has connected", async () => {
    const { acceptor, clock, client, sockets } = await accepting(ANY_PORT, PROBED);
    await client();
    await eventually(() => expect(sockets).toHaveLength(1));
    const dialled = vi.spyOn(net, "connect");
    onTestFinished(() => dialled.mockRestore());
    clock.pass(10_000);
    expect(dialled).toHaveBeenCalledOnce();
    await eventually(() => expect(acceptor.stats().probe).toBe("accepts"));
    await client();
    await eventually(() => expect(sockets).toHaveLength(2));
    dialled.mockClear();
    clock.pass(10_000);
    expect(acceptor.stats().probe).toBe("accepts");
    expect(dialled).not.toHaveBeenCalled();
  });

  test("restarts a listener that does not accept any more", async () => {
    const { acceptor, changes, clock, client, server } = await accepting(ANY_PORT, PROBED);
    clock.pass(10_000);
    await eventually(() => expect(acceptor.stats().probe).toBe("accepts"));
    // Nobody is told of what is accepted.
    server().removeAllListeners("connection");
    clock.pass(10_000);
    clock.pass(3_999);
    expect(changes).toEqual([]);
    clock.pass(1);
    expect(changes).toMatchObject([{ type: "lost", reason: expect.stringContaining("does not accept") }]);
    expect(acceptor.stats().probe).toBe("none");
    clock.pass(200);
    await eventually(() => expect(changes).toHaveLength(2));
    await client();
    await eventually(() => expect(acceptor.accepted).toBe(1));
  });

  test("finds a listener that was closed while it has connections, which tells nobody", async () => {
    const { changes, clock, client, sockets, server } = await accepting(ANY_PORT, PROBED);
    await client();
    await eventually(() => expect(sockets).toHaveLength(1));
    server().close();
    clock.pass(10_000);
    expect(changes).toMatchObject([{ type: "lost", reason: "it was closed" }]);
  });

  test("finds a Unix socket whose file is gone, and makes it anew", async () => {
    const path = await socketPath();
    const { changes, clock, client } = await accepting({ path }, PROBED);
    await unlink(path);
    clock.pass(10_000);
    await eventually(() => expect(changes).toHaveLength(1));
    expect(changes[0]?.reason).toBe("the file of its socket is gone");
    clock.pass(200);
    await eventually(() => expect(changes).toHaveLength(2));
    await client();
  });

  test("tells nothing of an address that it has never reached: a firewall may let clients in, and not the probe", async () => {
    const { acceptor, changes, clock, server } = await accepting(ANY_PORT, PROBED);
    server().removeAllListeners("connection");
    clock.pass(10_000);
    clock.pass(4_000);
    expect(acceptor.stats()).toMatchObject({ state: "listening", probe: "untold" });
    expect(changes).toEqual([]);
  });

  test("finds that another server has taken the path, whose file stays", async () => {
    const path = await socketPath();
    const { acceptor, changes, clock } = await accepting({ path }, PROBED);
    await unlink(path);
    const other = net.createServer().listen(path);
    await once(other, "listening");
    onTestFinished(() => void other.close());
    clock.pass(10_000);
    expect(changes).toMatchObject([{ type: "lost", reason: "another file is in the place of its socket" }]);
    clock.pass(200);
    await eventually(() => expect(acceptor.lost).toContain("another process listens there"));
    await once(
      net
        .connect(path)
        .on("connect", () => {})
        .unref(),
      "connect",
    );
  });

  test("cannot be where other processes may accept", async () => {
    const { acceptor, changes, clock } = await accepting({ ...ANY_PORT, reusePort: true }, PROBED);
    const dialled = vi.spyOn(net, "connect");
    onTestFinished(() => dialled.mockRestore());
    clock.pass(60_000);
    expect(dialled).not.toHaveBeenCalled();
    expect(acceptor.stats()).toMatchObject({ state: "listening", probe: "shared" });
    expect(changes).toEqual([]);
  });
});
