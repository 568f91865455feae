// link.socket(): what a library finds that expects a net.Socket. Its endings are in socket-ending.test.ts.
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { LinkSocket } from "../../src/link/socket.ts";
import type { LinkPair } from "../../src/testing/index.ts";
import { failure, openTo, pair, refusal, relayTo, runToExit, serve, turned, unusedPort } from "../support.ts";
import { paired } from "../testing/paired.ts";
import { told } from "./streams.ts";

const BYTES = { mode: "bytes" } as const;

interface Sockets extends LinkPair {
  near: net.Socket;
  far: net.Socket;
}

/** Both ends in memory, where no time passes by itself. */
function sockets(): Sockets {
  const both = paired({ client: BYTES, server: BYTES });
  const [near, far] = [both.client.socket(), both.server.socket()];
  return Object.assign(both, { near: quiet(near), far: quiet(far) });
}

/** Its link is closed when the test is over. */
function quiet(socket: net.Socket): net.Socket {
  return socket.on("error", () => {});
}

/** A client whose server cannot be reached until `arrive()`. */
async function away(): Promise<{ socket: net.Socket; arrive: () => Promise<net.Socket> }> {
  const { port, links } = await serve(BYTES);
  const relay = await relayTo(port);
  relay.refuse();
  const socket = quiet(openTo(relay.port, BYTES).socket());
  const arrive = async (): Promise<net.Socket> => {
    relay.heal();
    return quiet((await links.next()).socket());
  };
  return { socket, arrive };
}

describe("the face", () => {
  test("has every member that the types of Node promise", () => {
    const { near } = sockets();
    const connected = new net.Socket();
    onTestFinished(() => void connected.destroy());
    const members = Object.getOwnPropertyNames(net.Socket.prototype).filter((name) => !name.startsWith("_"));
    expect(members).toEqual(expect.arrayContaining(["connect", "destroySoon", "resetAndDestroy", "setKeepAlive"]));
    expect(members.filter((name) => !(name in near))).toEqual([]);
    // The compiler refuses this where a member of the type is missing.
    const isWhole: keyof net.Socket extends keyof LinkSocket ? true : false = true;
    expect(isWhole).toBe(true);
  });

  test("answers the socket where a call is chained, and changes nothing by what a link does itself", () => {
    const { near } = sockets();
    expect(near.setNoDelay(true).setKeepAlive(true, 1_000).ref().unref().setTimeout(0)).toBe(near);
    expect(near.setTypeOfService(0)).toBe(near);
    expect([near.getTypeOfService(), near.autoSelectFamilyAttemptedAddresses]).toEqual([0, []]);
    expect(near).not.toHaveProperty("_handle");
  });

  test("is one socket for each link, and its only consumer", async () => {
    const { client, near, server } = sockets();
    expect(client.socket()).toBe(near);
    expect(refusal(() => client.duplex())).toMatchObject({ code: "CONSUMER_BUSY" });
    expect(await failure(server.receive())).toMatchObject({ code: "CONSUMER_BUSY" });
    const other = paired({ client: BYTES, server: BYTES });
    const stream = other.client.duplex();
    expect(refusal(() => other.client.socket())).toMatchObject({ code: "CONSUMER_BUSY" });
    expect(other.client.duplex()).toBe(stream);
  });

  test('needs mode "bytes"', () => {
    const { client } = paired();
    expect(refusal(() => client.socket())).toMatchObject({ code: "NOT_SUPPORTED", message: /socket\(\)/u });
  });

  test("counts the bytes both ways, with those that wait", async () => {
    const { near, far, path } = sockets();
    path.stall();
    near.cork();
    near.write("größer");
    near.write("than");
    // Deprecated in Node, and still read by old libraries.
    expect([near.bytesWritten, Reflect.get(near, "bufferSize")]).toEqual([12, 12]);
    near.uncork();
    path.heal();
    far.on("data", () => {});
    await once(far, "data");
    far.write(Buffer.alloc(1_000));
    await once(near.resume(), "data");
    expect([near.bytesWritten, near.bytesRead, far.bytesRead]).toEqual([12, 1_000, 12]);
    expect(Reflect.get(near, "bufferSize")).toBe(0);
  });
});

describe("connecting", () => {
  test("'connect' and 'ready' come with the first connection, once, and what was written goes out then", async () => {
    const { socket, arrive } = await away();
    const heard = told(socket, "connect", "ready", "error", "close");
    expect([socket.connecting, socket.pending, socket.readyState]).toEqual([true, true, "opening"]);
    let isWritten = false;
    socket.write("early", () => {
      isWritten = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([isWritten, socket.bytesWritten]).toEqual([false, 5]);
    const connected = once(socket, "ready");
    const far = await arrive();
    await connected;
    expect([socket.connecting, socket.pending, socket.readyState]).toEqual([false, false, "open"]);
    expect(String((await once(far, "data"))[0])).toBe("early");
    expect([isWritten, heard]).toEqual([true, ["connect", "ready"]]);
  });

  test("'finish' waits for the first connection", async () => {
    const { socket, arrive } = await away();
    const heard = told(socket, "connect", "finish");
    socket.end();
    const finished = once(socket, "finish");
    (await arrive()).resume();
    await finished;
    expect(heard).toEqual(["connect", "finish"]);
  });

  test("connect() connects nothing: 'connect' comes soon, or with the first connection", async () => {
    const { near } = sockets();
    const heard = told(near, "connect");
    const listener = new Promise<void>((resolve) => void near.connect(5_432, "elsewhere", resolve));
    expect([near.connecting, heard]).toEqual([false, []]);
    await listener;
    expect(heard).toEqual(["connect"]);

    const { socket, arrive } = await away();
    const calls = told(socket.connect(5_432, "elsewhere"), "connect");
    await Promise.all([once(socket, "connect"), arrive()]);
    expect(calls).toEqual(["connect"]);
  });

  test("a cut is not seen: no 'connect', no 'close', and the addresses of the last connection", async () => {
    const both = await pair(BYTES, BYTES);
    const [near, far] = [quiet(both.client.socket()), quiet(both.server.socket())];
    const heard = told(near, "connect", "close", "error", "end");
    const { remotePort, localPort } = near;
    both.relay.refuse();
    both.relay.cut("rst");
    await turned(both.client, "reconnecting");
    expect([near.readyState, near.remotePort, near.localPort]).toEqual(["open", remotePort, localPort]);
    near.write("through");
    both.relay.heal();
    expect(String((await once(far, "data"))[0])).toBe("through");
    expect(heard).toEqual([]);
    expect(near.localPort).not.toBe(localPort);
  });

  test("a link that has ended fails its socket; a socket that was destroyed cannot connect again", async () => {
    const link = openTo(await unusedPort(), { ...BYTES, reconnect: { maxAttempts: 1 } });
    const socket = link.socket();
    const closed = new Promise<boolean>((resolve) => void socket.once("close", resolve));
    expect(await once(socket, "error")).toMatchObject([
      { code: "ETIMEDOUT", syscall: "connect", cause: { code: "GAVE_UP" } },
    ]);
    expect([await closed, socket.connecting, socket.pending, socket.readyState]).toEqual([true, false, true, "closed"]);
    expect(refusal(() => socket.connect(1))).toMatchObject({ code: "INVALID_STATE" });
  });
});

test("addresses are those of the connection in use", async () => {
  const both = await pair(BYTES, BYTES);
  const [near, far] = [quiet(both.client.socket()), quiet(both.server.socket())];
  expect(near.address()).toEqual({ address: "127.0.0.1", family: "IPv4", port: near.localPort });
  expect([near.remoteAddress, near.remoteFamily, near.remotePort]).toEqual(["127.0.0.1", "IPv4", both.relay.port]);
  expect([near.connecting, far.connecting]).toEqual([false, false]);
  expect([far.localPort, far.localFamily, far.remoteAddress]).toEqual([both.port, "IPv4", "127.0.0.1"]);
  const memory = sockets();
  expect([memory.near.remoteAddress, memory.near.remotePort, memory.near.address()]).toEqual([
    "127.0.0.1",
    undefined,
    {},
  ]);
});

describe("setTimeout()", () => {
  test("'timeout' comes once after each silence, and bytes in either direction put it off", async () => {
    const { near, far, clock } = sockets();
    const heard: number[] = [];
    near.setTimeout(1_000);
    near.on("timeout", () => heard.push(clock.nowMs));
    near.resume();
    far.resume();
    expect(near.timeout).toBe(1_000);
    await clock.advance(900);
    near.write("out");
    await clock.advance(900);
    far.write("in");
    await clock.advance(900);
    expect(heard).toEqual([]);
    await clock.advance(5_000);
    expect(heard).toEqual([2_800]);
    near.write("again");
    await clock.advance(5_000);
    expect(heard).toEqual([2_800, 8_700]);
  });

  test("comes through a cut too: the time without a connection is silence", async () => {
    const { near, clock, path } = sockets();
    const timedOut = once(near.setTimeout(1_000), "timeout");
    path.refuse();
    path.cut("rst");
    await clock.advance(1_000);
    await timedOut;
    expect(near.destroyed).toBe(false);
  });

  test("0 ends it, and takes its listener back; so does destroy()", async () => {
    const { near, far, clock } = sockets();
    let calls = 0;
    const count = (): void => void calls++;
    near.setTimeout(1_000, count).setTimeout(0, count);
    far.setTimeout(1_000, count);
    far.destroy();
    await clock.advance(5_000);
    expect([calls, near.timeout, near.listenerCount("timeout")]).toEqual([0, 0, 0]);
  });

  test.each([-1, Number.NaN, Infinity, "1000"])("refuses %s", (ms) => {
    const { near } = sockets();
    expect(refusal(() => near.setTimeout(ms as number))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(near.timeout).toBe(0);
  });
});

describe("the process", () => {
  /** What a client prints that is a process of its own, and ends by itself. */
  async function printed(port: number, then: string): Promise<string> {
    return runToExit(`
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port: ${port}, host: "127.0.0.1", mode: "bytes" });
      const socket = link.socket();
      process.on("exit", () => console.log("exit", link.state));
      ${then}
    `);
  }

  /** What keeps this process alive: sockets and timers. */
  function held(): number {
    return process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap" || name === "Timeout").length;
  }

  test("unref() takes the link's connection and its timer out, also those that come later, and ref() puts them back", async () => {
    const both = await pair(BYTES, BYTES);
    const near = quiet(both.client.socket());
    const before = held();
    near.unref();
    expect(held()).toBe(before - 2);
    both.relay.cut("rst");
    await turned(both.client, "reconnecting");
    await turned(both.client, "connected");
    const without = held();
    near.ref();
    expect(held()).toBe(without + 2);
  });

  test("unref() takes out the wait for the next attempt, also one that comes later", async () => {
    const link = openTo(await unusedPort(), BYTES);
    link.hold();
    const socket = link.socket().unref();
    await new Promise((resolve) => setImmediate(resolve));
    const without = held();
    socket.ref();
    expect(held()).toBe(without + 1);
    socket.unref();
    expect(held()).toBe(without);
  });

  test("ends by itself while a link is open, or waits for its next attempt; setTimeout() never keeps it", async () => {
    const { port } = await serve(BYTES);
    const then = "socket.setTimeout(1_000_000);";
    const [open, waiting] = await Promise.all([
      printed(port, `${then} socket.once("ready", () => socket.unref());`),
      printed(await unusedPort(), `${then} socket.unref();`),
    ]);
    expect(open).toBe("exit connected");
    expect(waiting).toMatch(/^exit (?:reconnecting|connecting)$/u);
  });
});
