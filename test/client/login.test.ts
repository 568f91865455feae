import tls from "node:tls";
import { expect, test } from "vitest";
import { fixed, RespliceError } from "../../src/index.ts";
import { certificate, eventually, failure, receiveText, turned } from "../support.ts";
import { firstFailure } from "./first-failure.ts";
import { LineSocket, lineServer, openPlain } from "./plain-server.ts";

test("it comes before everything else on each connection, and what it has not received goes to the consumer", async () => {
  const { port, sockets } = await lineServer((socket) => socket.say("220 welcome"));
  const greetings: string[] = [];
  const link = openPlain(port, {
    plain: {
      async login(connection) {
        greetings.push(String(await connection.receive()));
        connection.send("HELLO");
        greetings.push(String(await connection.receive()));
      },
    },
  });
  link.trySend("first message");
  const socket = await sockets.next();
  expect(await socket.lines.next()).toBe("HELLO");
  expect([socket.lines.size, link.state]).toEqual([0, "connecting"]);
  socket.say("250 ok", "news");
  expect(await socket.lines.next()).toBe("first message");
  expect([greetings, await receiveText(link)]).toEqual([["220 welcome", "250 ok"], "news"]);
  socket.socket.destroy();
  const again = await sockets.next();
  expect(await again.lines.next()).toBe("HELLO");
});

test("LOGIN_REFUSED ends the link, with the application's own error", async () => {
  const { port, sockets } = await lineServer();
  const refused = new RespliceError("LOGIN_REFUSED", "WRONGPASS");
  const link = openPlain(port, {
    plain: {
      login: () => Promise.reject(refused),
    },
  });
  expect((await link.closed).error).toBe(refused);
  const { socket } = await sockets.next();
  await eventually(() => expect(socket.destroyed).toBe(true));
});

test("what it has sent when it throws arrives, also if the kernel has not taken it yet", async () => {
  const large = "x".repeat(6_000_000);
  const { port, sockets } = await lineServer((socket) => socket.socket.pause());
  const link = openPlain(port, {
    maxMessageBytes: 8_000_000,
    plain: {
      login(connection) {
        connection.send(large);
        connection.send("QUIT");
        throw new RespliceError("LOGIN_REFUSED", "a server without what we need");
      },
    },
  });
  const { error } = await link.closed;
  expect(error?.code).toBe("LOGIN_REFUSED");
  const { lines: got, socket } = await sockets.next();
  socket.resume();
  expect([(await got.next()) === large, await got.next()]).toEqual([true, "QUIT"]);
});

test.each([
  ["an error", () => Promise.reject(new Error("LOADING"))],
  [
    "a throw at once",
    () => {
      throw new Error("LOADING");
    },
  ],
  ["a refusal that may pass", () => Promise.reject(new RespliceError("LOGIN_REFUSED", "LOADING", { retryable: true }))],
])("%s is tried again, on a new connection, and does not count as connected", async (_, login) => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: { login } });
  const error = await firstFailure(link);
  expect([error?.message, error?.retryable]).toEqual([expect.stringMatching(/LOADING$/), true]);
  const first = await sockets.next();
  await eventually(() => expect(first.socket.destroyed).toBe(true));
  await sockets.next();
  expect(link.stats().reconnects).toBe(0);
});

test("a login that hangs is given up after handshakeMs, and its signal is aborted", async () => {
  const { port } = await lineServer();
  let reason: unknown;
  const link = openPlain(port, {
    timeouts: { handshakeMs: 50 },
    plain: {
      login: ({ signal }) =>
        new Promise(() => {
          signal.addEventListener("abort", () => (reason = signal.reason));
        }),
    },
  });
  expect(await firstFailure(link)).toMatchObject({ code: "TIMED_OUT" });
  expect(reason).toMatchObject({ code: "TIMED_OUT" });
});

test("a connection that is lost while it logs in: receive() rejects, and the login can do nothing more", async () => {
  const { port, sockets } = await lineServer();
  const told: unknown[] = [];
  const link = openPlain(port, {
    plain: {
      async login(connection) {
        told.push(await failure(() => connection.receive()));
        told.push(await failure(() => connection.send("too late")));
      },
    },
  });
  (await sockets.next()).socket.end();
  expect(await firstFailure(link)).toMatchObject({ code: "CONNECTION_LOST" });
  await eventually(() => expect(told).toMatchObject([{ code: "CONNECTION_LOST" }, { code: "CONNECTION_LOST" }]));
});

test("after the login its connection is of no use", async () => {
  const { port } = await lineServer();
  let kept: { send(message: string): void } | undefined;
  const link = openPlain(port, {
    plain: {
      login: async (connection) => void (kept = connection),
    },
  });
  await link.connected();
  expect(await failure(() => kept?.send("late"))).toMatchObject({ code: "INVALID_STATE" });
});

test("a server that floods a login is left", async () => {
  const { port } = await lineServer((socket) => socket.say(...Array.from({ length: 30 }, () => "x".repeat(100_000))));
  const link = openPlain(port, { plain: { login: () => new Promise(() => {}) } });
  expect(await firstFailure(link)).toMatchObject({ code: "CONNECTION_LOST" });
});

test("raw bytes, whatever the framing: PostgreSQL's SSLRequest", async () => {
  const { port, sockets } = await lineServer((socket) => socket.letGo());
  let answer = "";
  const link = openPlain(port, {
    plain: {
      framing: fixed(4),
      async login(connection) {
        const answered = connection.receiveRaw(1);
        connection.sendRaw(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
        answer = String(await answered);
      },
    },
  });
  const { socket } = await sockets.next();
  await eventually(() => expect(socket.bytesRead).toBe(8));
  socket.write("Nabcd");
  expect([await receiveText(link), answer]).toEqual(["abcd", "N"]);
});

test("STARTTLS: TLS begins on the connection, and the rest of the login, and the messages, are under it", async () => {
  const { key, cert } = await certificate();
  const { port, sockets } = await lineServer((socket) => socket.say("220 ready"));
  const link = openPlain(port, {
    plain: {
      async login(connection) {
        await connection.receive();
        connection.send("STARTTLS");
        await connection.receive();
        await connection.startTls({ ca: cert, servername: "localhost" });
        connection.send("EHLO");
        await connection.receive();
      },
    },
  });
  const clear = await sockets.next();
  expect(await clear.lines.next()).toBe("STARTTLS");
  clear.letGo();
  clear.say("220 go ahead");
  const secured = new LineSocket(new tls.TLSSocket(clear.socket, { isServer: true, key, cert }));
  expect(await secured.lines.next()).toBe("EHLO");
  secured.say("250 hello");
  await link.send("secret");
  expect(await secured.lines.next()).toBe("secret");
  secured.say("answer");
  expect(await receiveText(link)).toBe("answer");
  expect(link.remoteAddress).toBe("127.0.0.1");
});

test("bytes behind the answer that allows TLS are refused: they did not come under it", async () => {
  const { port, sockets } = await lineServer();
  const errors: unknown[] = [];
  const link = openPlain(port, {
    plain: {
      async login(connection) {
        connection.send("STARTTLS");
        await connection.receive();
        errors.push(await failure(() => connection.startTls()));
      },
    },
  });
  const socket = await sockets.next();
  await socket.lines.next();
  socket.say("220 go ahead", "injected");
  await turned(link, "reconnecting");
  await eventually(() => expect(errors).toMatchObject([{ code: "PROTOCOL_ERROR" }]));
});

test("a login that goes on without the TLS that it has begun has failed", async () => {
  const { port, sockets } = await lineServer((line) => line.letGo());
  const link = openPlain(port, {
    plain: {
      async login(connection) {
        await connection.startTls().catch(() => {});
      },
    },
  });
  const { socket } = await sockets.next();
  socket.write("no TLS here, not at all");
  expect(await firstFailure(link)).toMatchObject({ code: "CONNECT_FAILED" });
  expect(link.stats().reconnects).toBe(0);
});

test("any other error of the package that a login throws is one of the attempt", async () => {
  const { port } = await lineServer();
  const link = openPlain(port, { plain: { login: async (connection) => connection.send("two\nlines") } });
  const error = await firstFailure(link);
  expect(error).toMatchObject({ code: "CONNECT_FAILED", retryable: true, cause: { code: "INVALID_ARGUMENT" } });
});

test("a certificate that is not trusted ends the link", async () => {
  const { key, cert } = await certificate();
  const { port } = await lineServer((line) => {
    line.letGo();
    new tls.TLSSocket(line.socket, { isServer: true, key, cert }).on("error", () => {});
  });
  const link = openPlain(port, { plain: { login: (connection) => connection.startTls() } });
  expect((await link.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
});
