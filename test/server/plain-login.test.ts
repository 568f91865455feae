/** The login of clients that are not resplice: who is let in, and what becomes of the others. */
import { once } from "node:events";
import tls from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { type LoginConnection, RespliceError } from "../../src/index.ts";
import { LineSocket } from "../client/plain-server.ts";
import { certificate, eventually, failure, isPending, logKeeper } from "../support.ts";
import {
  echoLines,
  HandConnection,
  lineClient,
  plainSessions,
  type PlainServerTerms,
  servePlain,
} from "./plain-servers.ts";

/** Asks for a password. */
async function ask(connection: LoginConnection): Promise<void> {
  connection.send("password?");
  if (String(await connection.receive()) === "secret") return connection.send("welcome");
  connection.send("no");
  throw new RespliceError("LOGIN_REFUSED", "a wrong password");
}

const withLogin = (login: (connection: LoginConnection) => Promise<void>, more: PlainServerTerms = {}) =>
  servePlain({ ...more, plain: { login } }, echoLines);

test("who logs in is served, and what came behind the login is read", async () => {
  const { port, supervisor, links } = await withLogin(ask);
  const client = lineClient(port);
  expect(await client.lines.next()).toBe("password?");
  expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 1 });
  expect([links.size, supervisor.links.size]).toEqual([0, 0]);
  client.say("secret", "one");
  expect([await client.lines.next(), await client.lines.next()]).toEqual(["welcome", "one"]);
  expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 0 });
});

test("it sees the client's address", async () => {
  const seen = Promise.withResolvers<unknown>();
  const { port } = await withLogin(async ({ remoteAddress }) => seen.resolve(remoteAddress));
  lineClient(port);
  expect(await seen.promise).toBe("127.0.0.1");
});

test("who is refused hears why, is counted, and the server goes on", async () => {
  const { lines, logger } = logKeeper();
  const { port, supervisor, links } = await withLogin(ask, { logger });
  const client = lineClient(port);
  client.say("guess");
  expect([await client.lines.next(), await client.lines.next()]).toEqual(["password?", "no"]);
  await client.ended;
  expect(supervisor.stats()).toMatchObject({
    rejected: { "login refused": 1 },
    connections: { open: 0, handshaking: 0 },
  });
  expect(lines.find(({ event }) => event === "server.rejected")).toMatchObject({
    reason: "login refused",
    detail: "a wrong password",
    remoteAddress: "127.0.0.1",
  });
  const other = lineClient(port);
  other.say("secret", "one");
  for (const text of ["password?", "welcome", "one"]) expect(await other.lines.next()).toBe(text);
  expect(links.size).toBe(1);
});

test.each([
  ["in order, so that what it has sent arrives", true, 65_536],
  ["in order, also if the connection has taken nothing yet", true, 0],
  ["at once where too many linger", false, 65_536],
])("the connection is closed %s", async (how, mayLinger, roomBytes) => {
  const { clock, sessions } = plainSessions({ plain: { login: ask } }, mayLinger);
  const connection = new HandConnection();
  connection.roomBytes = roomBytes;
  sessions.accept(connection);
  await clock.advance(0);
  connection.handler.onData(Buffer.from("guess\n"));
  await clock.advance(0);
  expect(connection.written).toBe("password?\nno\n");
  expect(how.startsWith(connection.closed ?? "never")).toBe(true);
  expect([sessions.connections, sessions.open.size]).toEqual([0, 0]);
});

test("what a kernel has not taken when the login throws arrives all the same", async () => {
  const large = "x".repeat(6_000_000);
  const { port, supervisor } = await withLogin(
    async (connection) => {
      connection.send(large);
      connection.send("535 denied");
      throw new RespliceError("LOGIN_REFUSED", "denied");
    },
    { maxMessageBytes: 8_000_000 },
  );
  const client = lineClient(port);
  client.socket.pause();
  await eventually(() => expect(supervisor.stats().rejected).toEqual({ "login refused": 1 }));
  client.socket.resume();
  expect([(await client.lines.next()) === large, await client.lines.next()]).toEqual([true, "535 denied"]);
});

test.each<[string, () => Promise<void>]>([
  ["rejects", async () => Promise.reject(new Error("the database is away"))],
  [
    "throws at once",
    () => {
      throw new Error("the database is away");
    },
  ],
])("one that %s closes the connection, and the log has the error", async (_, login) => {
  const { lines, logger } = logKeeper();
  const { port, supervisor, links } = await withLogin(login, { logger });
  await lineClient(port).ended;
  expect([supervisor.stats().rejected, links.size, supervisor.state]).toEqual([
    { "login() failed": 1 },
    0,
    "listening",
  ]);
  expect(lines.find(({ event }) => event === "server.rejected")).toMatchObject({
    detail: "the database is away",
    err: { message: "the database is away" },
  });
});

test("one that hangs lets nobody in, and is told when its time is over", async () => {
  const gone = Promise.withResolvers<RespliceError>();
  const { port, supervisor, links } = await withLogin(
    ({ signal }) =>
      new Promise(() => signal.addEventListener("abort", () => gone.resolve(signal.reason as RespliceError))),
    { timeouts: { handshakeMs: 50 } },
  );
  const client = lineClient(port);
  client.say("hello?");
  await client.ended;
  expect([supervisor.stats().rejected, links.size]).toEqual([{ "handshake timed out": 1 }, 0]);
  expect(await gone.promise).toMatchObject({ code: "CONNECTION_LOST", message: "handshake timed out" });
});

test("so one that waits for a client who says nothing", async () => {
  const { port, supervisor } = await withLogin(ask, { timeouts: { handshakeMs: 50 } });
  await lineClient(port).ended;
  expect(supervisor.stats().rejected).toEqual({ "handshake timed out": 1 });
});

test("a client that goes away meanwhile has done nothing wrong", async () => {
  const rejected = Promise.withResolvers<RespliceError>();
  const { port, supervisor } = await withLogin(async (connection) => {
    rejected.resolve(await failure(connection.receive()));
  });
  const client = lineClient(port);
  await once(client.socket, "connect");
  client.socket.destroy();
  expect((await rejected.promise).code).toBe("CONNECTION_LOST");
  await eventually(() => expect(supervisor.stats().connections.open).toBe(0));
  expect(supervisor.stats().rejected).toEqual({});
});

test.each([
  ["framing-failed", `${"x".repeat(2_000)}\n`],
  ["more bytes than a login may leave unread", "x\n".repeat(2_000)],
])("a client that breaks the rules meanwhile is rejected: %s", async (reason, text) => {
  const { port, supervisor } = await withLogin(() => new Promise(() => {}), { maxMessageBytes: 1_000 });
  const client = lineClient(port);
  client.socket.write(text);
  await client.ended;
  expect(supervisor.stats().rejected).toEqual({ [reason]: 1 });
});

test("a client that sends and never reads what the login says is rejected, when that is more than is kept for it", async () => {
  const { clock, sessions } = plainSessions({
    maxMessageBytes: 1_000,
    plain: {
      async login(connection) {
        for (;;) connection.send(`wrong: ${String(await connection.receive())}`);
      },
    },
  });
  const guess = Buffer.from(`${"x".repeat(900)}\n`);
  const guessUntilClosed = async (roomBytes: number): Promise<{ connection: HandConnection; guesses: number }> => {
    const connection = new HandConnection();
    connection.roomBytes = roomBytes;
    sessions.accept(connection);
    let guesses = 0;
    for (; guesses < 200 && connection.closed === undefined; guesses++) {
      await clock.advance(0);
      connection.handler.onData(guess);
      await clock.advance(0);
    }
    return { connection, guesses };
  };
  expect((await guessUntilClosed(65_536)).connection.closed).toBeUndefined();
  const { connection, guesses } = await guessUntilClosed(0);
  expect([connection.closed, sessions.stats().rejected]).toEqual([
    "at once",
    { "the peer does not read what the login sends": 1 },
  ]);
  // 64 KiB, and one message.
  expect(guesses).toBe(Math.ceil(66_537 / (900 + "wrong: \n".length + 100)));
  expect(sessions.connections).toBe(1);
});

test("a server cannot begin TLS in the middle: NOT_SUPPORTED, and the login may go on", async () => {
  const refused = Promise.withResolvers<RespliceError>();
  const { port } = await withLogin(async (connection) => {
    refused.resolve(await failure(connection.startTls({})));
  });
  const client = lineClient(port);
  expect((await refused.promise).code).toBe("NOT_SUPPORTED");
  client.say("one");
  expect(await client.lines.next()).toBe("one");
});

describe("over TLS", () => {
  test("the login begins when the handshake is over", async () => {
    const { cert, key } = await certificate();
    const { port, supervisor, links } = await withLogin(ask, { tls: { cert, key } });
    const silent = lineClient(port);
    await once(silent.socket, "connect");
    const socket = tls.connect({ port, host: "127.0.0.1", ca: cert, servername: "localhost" });
    onTestFinished(() => void socket.destroy());
    const client = new LineSocket(socket);
    expect(await client.lines.next()).toBe("password?");
    expect([await isPending(silent.lines.next()), supervisor.stats().connections.handshaking]).toEqual([true, 2]);
    client.say("secret", "one");
    for (const text of ["welcome", "one"]) expect(await client.lines.next()).toBe(text);
    expect((await links.next()).remoteAddress).toBe("127.0.0.1");
    silent.socket.destroy();
    await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 0 }));
  });

  test("one that is no TLS is rejected, once", async () => {
    const { cert, key } = await certificate();
    const { port, supervisor } = await servePlain({ tls: { cert, key } });
    const client = lineClient(port);
    client.say("GET / HTTP/1.1");
    await client.ended;
    await eventually(() =>
      expect(supervisor.stats()).toMatchObject({ rejected: { tls: 1 }, connections: { open: 0 } }),
    );
  });
});
