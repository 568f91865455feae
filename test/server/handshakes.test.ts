import { randomUUID } from "node:crypto";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { FRAME_HEADER_BYTES, HELLO_PROOF_AT, PROOF_BYTES } from "../../src/core/wire/frames.ts";
import {
  certificate,
  echo,
  eventually,
  logKeeper,
  type LogLine,
  manage,
  openTo,
  QUICK,
  rawClient,
  receiveText,
  serve,
  tapTo,
  turned,
} from "../support.ts";
import { unconfirmed } from "./raw-session.ts";

/** Its HELLO, of all that a client has said. */
function helloOf(chunks: readonly Buffer[]): Buffer {
  const said = Buffer.concat(chunks);
  return said.subarray(0, FRAME_HEADER_BYTES + said.readUInt32BE(4));
}

/** Why connections were closed. */
function reasons(lines: readonly LogLine[]): Array<string | undefined> {
  return lines.filter(({ event }) => event === "server.rejected").map(({ reason }) => reason);
}

describe("what is not a client", () => {
  test.each<[string, Buffer | string]>([
    ["an HTTP request", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a TLS hello", Buffer.from("160301020001000001fc0303", "hex")],
    ["an SSH banner", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["garbage", Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 7919) & 255))],
    ["a frame that is too long", Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])],
    ["DATA before a handshake", Buffer.from([5, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1])],
    ["a HELLO of zeros", Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 1, 0]), Buffer.alloc(256)])],
  ])("%s is closed at once, with a reason in the log, and other links go on", async (_, bytes) => {
    const { lines, logger } = logKeeper();
    const { port, supervisor } = await serve({ logger }, echo);
    const link = openTo(port);
    await link.send("before");
    expect(await receiveText(link)).toBe("before");
    const raw = await rawClient(port);
    raw.socket.write(bytes);
    await raw.closed;
    await eventually(() => expect(lines.filter(({ event }) => event === "server.rejected")).toHaveLength(1));
    const line = lines.find(({ event }) => event === "server.rejected");
    expect(line).toMatchObject({ level: "warn", remoteAddress: "127.0.0.1" });
    expect(line?.reason).not.toBe("");
    expect(line?.["detail"]).not.toBe("");
    await link.send("after");
    expect(await receiveText(link)).toBe("after");
    await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 0 }));
  });

  test("one that says nothing is closed after handshakeMs, with a reason in the log", async () => {
    const { lines, logger } = logKeeper();
    const { port } = await serve({ logger, timeouts: { handshakeMs: 80 } });
    const startedMs = performance.now();
    const raw = await rawClient(port);
    await raw.closed;
    expect(performance.now() - startedMs).toBeGreaterThan(75);
    expect(reasons(lines)).toEqual([expect.stringContaining("timed out")]);
  });

  test("one that says its HELLO byte by byte, too slowly", async () => {
    const { port } = await serve({ timeouts: { handshakeMs: 80 } });
    const raw = await rawClient(port);
    const timer = setInterval(() => raw.socket.write(Buffer.from([1])), 10);
    await raw.closed;
    clearInterval(timer);
  });

  test("one that closes before it has said anything leaves nothing behind", async () => {
    const { port, supervisor } = await serve();
    for (let i = 0; i < 20; i++) {
      const raw = await rawClient(port);
      if (i % 2 === 0) raw.socket.resetAndDestroy();
      else raw.socket.end();
    }
    await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 0, handshaking: 0 }));
  });
});

test("of too many handshakes one that says nothing gives way, and is told when to come back", async () => {
  const { lines, logger } = logKeeper();
  const { port, supervisor } = await serve({ logger, limits: { handshakes: 2 } }, echo);
  const silent = [await rawClient(port), await rawClient(port)];
  await eventually(() => expect(supervisor.stats().connections.handshaking).toBe(2));
  const link = openTo(port);
  await link.send("gets through");
  expect(await receiveText(link)).toBe("gets through");
  const told = await Promise.race(silent.map((raw) => raw.closed.then(() => raw.bytes)));
  expect(told).toHaveLength(FRAME_HEADER_BYTES + 8);
  expect(supervisor.stats()).toMatchObject({ turnedAway: { handshakes: 1 }, refused: { overloaded: 1 } });
  expect(lines.find(({ event }) => event === "server.refused")).toMatchObject({ reason: "too many handshakes" });
});

test.each(["a port", "a Unix socket"])(
  "with TLS on %s, one that has not come to HELLO yet counts as well",
  async (where) => {
    const tls = await certificate();
    const path = where === "a port" ? undefined : `\0resplice-${randomUUID()}`;
    const limits = { handshakes: 2 };
    const { port, supervisor } = await serve({ tls, limits, ...(path === undefined ? {} : { path }) }, echo);
    const silent = Array.from({ length: 5 }, () => {
      const socket = path === undefined ? net.connect(port, "127.0.0.1") : net.connect(path);
      onTestFinished(() => void socket.destroy());
      return socket.on("error", () => {});
    });
    await eventually(() => expect(silent.filter(({ closed }) => closed)).toHaveLength(3));
    expect(supervisor.stats().connections).toEqual({ open: 2, handshaking: 2 });
    const secure = { tls: { ca: tls.cert, servername: "localhost" }, reconnect: QUICK };
    const link = manage().open(path === undefined ? { port, host: "127.0.0.1", ...secure } : { path, ...secure });
    await link.send("gets through");
    expect(await receiveText(link)).toBe("gets through");
    expect(supervisor.stats().turnedAway["handshakes"]).toBeGreaterThanOrEqual(4);
  },
);

describe("sessions that nobody confirms", () => {
  test("keep nobody out: not of the server, and not of their identity", async () => {
    const { port, supervisor, links } = await serve({
      limits: { handshakes: 40, sessions: 20, sessionsPerIdentity: 5 },
      authenticate: () => "everybody",
    });
    for (let n = 0; n < 30; n++) await unconfirmed(port);
    const link = openTo(port);
    await link.connected();
    await links.next();
    expect(supervisor.stats().sessions.connected).toBe(1);
    expect(supervisor.stats().sessions.waiting).toBeLessThanOrEqual(10);
  });
});

describe("replays", () => {
  test("a recorded HELLO, from another socket, makes no link and disturbs none", async () => {
    const { lines, logger } = logKeeper();
    const { port, links, supervisor } = await serve({ logger });
    const tap = await tapTo(port);
    const link = openTo(tap.port);
    await link.connected();
    const server = await links.next();
    tap.connections[0]?.client.destroy();
    await turned(link, "connected");
    await link.send("recorded", { until: "taken" });
    expect(await receiveText(server)).toBe("recorded");

    for (const { toServer } of tap.connections) {
      const hello = await rawClient(port);
      hello.socket.write(helloOf(toServer));
      await hello.closed;
      const everything = await rawClient(port);
      everything.socket.write(Buffer.concat(toServer));
      await everything.closed;
    }
    await eventually(() => expect(lines.filter(({ event }) => event === "server.refused")).toHaveLength(3));
    for (const line of lines.filter(({ event }) => event === "server.refused")) {
      expect(line).toMatchObject({ code: "stale", sessionId: link.sessionId, remoteAddress: "127.0.0.1" });
    }
    // What follows an open is looked at before its verdict, and is no frame of a client that waits for one.
    expect(supervisor.stats().refused).toEqual({ stale: 3 });
    expect(supervisor.stats().sessions).toEqual({ connected: 1, waiting: 0 });
    expect(links.size).toBe(0);
    expect(link.state).toBe("connected");
    await link.send("still here");
    expect(await receiveText(server)).toBe("still here");
  });

  test("one of a session that is gone makes a session that nobody can confirm, and no link", async () => {
    const { port, links, supervisor } = await serve({ timeouts: { handshakeMs: 150 } });
    const tap = await tapTo(port);
    const link = openTo(tap.port);
    await link.send("one");
    await (await links.next()).receive();
    await link.close();
    await eventually(() => expect(supervisor.stats().sessions).toEqual({ connected: 0, waiting: 0 }));
    const raw = await rawClient(port);
    raw.socket.write(helloOf(tap.connections[0]?.toServer ?? []));
    await raw.closed;
    expect(links.size).toBe(0);
    await eventually(() => expect(supervisor.stats().sessions).toEqual({ connected: 0, waiting: 0 }));
  });

  test("what a passive listener sees of a resume is not enough to take the link over", async () => {
    const { port, links, supervisor } = await serve();
    const tap = await tapTo(port);
    const link = openTo(tap.port);
    await link.connected();
    const server = await links.next();
    tap.connections[0]?.client.destroy();
    await turned(link, "connected");
    const hello = helloOf(tap.connections[1]?.toServer ?? []);
    // A higher generation, as a thief would claim: the proof covers the whole frame.
    const counterAt = FRAME_HEADER_BYTES + 48 + 7;
    hello.writeUInt8((hello[counterAt] as number) + 10, counterAt);
    const raw = await rawClient(port);
    raw.socket.write(hello);
    await raw.closed;
    expect(supervisor.stats().refused).toEqual({ authentication: 1 });
    await link.send("mine");
    expect(await receiveText(server)).toBe("mine");
  });
});

test("no line that is logged holds a secret, a proof or credentials", async () => {
  const { lines, logger } = logKeeper();
  const { port, links } = await serve({
    logger,
    authenticate: ({ credentials }) => (String(credentials) === "hunter2" ? "someone" : null),
  });
  const tap = await tapTo(port);
  const link = openTo(tap.port, { credentials: "hunter2" });
  await link.connected();
  await links.next();
  tap.connections[0]?.client.destroy();
  await turned(link, "connected");
  await openTo(tap.port, { credentials: "hunter3" }).closed;
  for (const { toServer } of tap.connections) {
    const raw = await rawClient(port);
    raw.socket.write(Buffer.concat(toServer));
    await raw.closed;
  }
  const raw = await rawClient(port);
  raw.socket.write("hunter4 GET /");
  await raw.closed;
  await eventually(() => expect(lines.some(({ event }) => event === "server.rejected")).toBe(true));

  const secrets = ["hunter2", "hunter3"];
  for (const { toServer } of tap.connections) {
    const secretOrProof = Buffer.concat(toServer).subarray(HELLO_PROOF_AT, HELLO_PROOF_AT + PROOF_BYTES);
    for (const encoding of ["hex", "base64", "latin1"] as const) secrets.push(secretOrProof.toString(encoding));
  }
  for (const line of lines) {
    const text = JSON.stringify(line) + Object.values(line).map(String).join(" ");
    for (const secret of secrets) expect(text).not.toContain(secret);
  }
});

test("a handshake in pieces of one byte is a handshake", async () => {
  const { port, links } = await serve();
  const tap = await tapTo(port);
  const link = openTo(tap.port);
  await link.connected();
  await links.next();
  // The same HELLO again, in pieces: it is understood, and refused for what it is.
  const raw = await rawClient(port);
  for (const byte of tap.connections[0]?.toServer[0] ?? []) {
    raw.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await raw.closed;
  expect(raw.bytes).toHaveLength(FRAME_HEADER_BYTES + 8);
});
