/** What functions of the application's may answer: it fails an attempt, and never a link, nor what protects it. */
import { EventEmitter, once } from "node:events";
import net from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { inspect } from "node:util";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { asError } from "../../src/client/failure.ts";
import { isRetried } from "../../src/client/hooks.ts";
import { type Link, type OpenOptions, RespliceError, type StateChange } from "../../src/index.ts";
import { DialError } from "../../src/io/dial.ts";
import {
  certificate,
  echo,
  eventually,
  logKeeper,
  manage,
  openTo,
  QUICK,
  rawServer,
  receiveText,
  relayTo,
  serve,
  turned,
  unusedPort,
  WATCHFUL,
} from "../support.ts";

const SECRET = "sk-s3cr3t";

/** What the attempts of a link failed with. */
function failures(link: Link): RespliceError[] {
  const seen: RespliceError[] = [];
  link.on("state", (change: StateChange) => {
    if (change.to === "reconnecting" && change.error !== undefined) seen.push(change.error);
  });
  return seen;
}

/** Retried: each attempt has failed so, and the link goes on as soon as the answer is right. */
async function expectRetried(link: Link, code: string, saying: RegExp): Promise<void> {
  const seen = failures(link);
  await eventually(() => expect(seen.length).toBeGreaterThan(2));
  for (const error of seen) {
    expect(error).toMatchObject({ code, retryable: true, message: expect.stringMatching(saying) });
    expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
  }
}

describe("a function that gives what cannot be used fails the attempt, and is asked again", () => {
  test.each<[string, unknown]>([
    ["none", []],
    ["undefined", undefined],
    ["null", null],
    ["no array", SECRET],
    ["no endpoints", [SECRET]],
    ["nothing among them", [null]],
    ["a port that is none", [{ port: 0 }]],
    ["a path that is none", [{ path: "" }]],
  ])("endpoints: %s", async (_, given) => {
    const { port } = await serve();
    let isRight = false;
    const right = [{ port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints: () => (isRight ? right : (given as never)), reconnect: QUICK });
    await expectRetried(link, "CONNECT_FAILED", /^the function endpoints gave what cannot be used: option /);
    isRight = true;
    await link.connected();
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["an object", { token: SECRET }],
    ["too much", SECRET.repeat(3_000)],
  ])("credentials: %s", async (_, given) => {
    const { port } = await serve();
    let isRight = false;
    const link = openTo(port, { credentials: async () => (isRight ? "token" : (given as never)) });
    await expectRetried(link, "CONNECT_FAILED", /^the function credentials gave what cannot be used: /);
    isRight = true;
    await link.connected();
  });

  test("endpoints that were emptied after open() are no reason to end the link, either", async () => {
    const { port } = await serve();
    const endpoints = [{ port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints, reconnect: QUICK });
    endpoints.length = 0;
    await expectRetried(link, "CONNECT_FAILED", /at least one endpoint/);
    endpoints.push({ port, host: "127.0.0.1" });
    await link.connected();
  });

  test("shouldRetry is asked, and may end it", async () => {
    const seen: string[] = [];
    const shouldRetry = ({ code }: RespliceError): boolean => seen.push(code) < 3;
    const link = openTo(1, { credentials: () => undefined as never, reconnect: { ...QUICK, shouldRetry } });
    expect((await link.closed).error).toMatchObject({ code: "CONNECT_FAILED" });
    expect(seen).toEqual(["CONNECT_FAILED", "CONNECT_FAILED", "CONNECT_FAILED"]);
  });

  test("it may throw anything at all", async () => {
    const thrown = [
      undefined,
      "a word",
      Object.create(null),
      new TypeError("x\n\u001b[31mforged"),
      new DOMException("no", "AbortError"),
    ];
    const { port } = await serve();
    const link = openTo(port, {
      credentials: ({ number }) => {
        if (number <= thrown.length) throw thrown[number - 1] as Error;
        return "token";
      },
    });
    const seen = failures(link);
    await link.connected();
    expect(seen.map(({ message }) => message)).toEqual([
      "undefined",
      "a word",
      "[Object: null prototype] {}",
      "x\\n\\x1b[31mforged",
      "no",
    ]);
    expect(new Set(seen.map(({ code }) => code))).toEqual(new Set(["CONNECT_FAILED"]));
  });

  test.each(["credentials", "endpoints", "tls", "connect"])(
    "%s that hangs is waited for no longer than connectMs",
    async (name) => {
      const { port } = await serve();
      const signals: AbortSignal[] = [];
      const hang = ({ signal }: { signal: AbortSignal }): Promise<never> => {
        signals.push(signal);
        return new Promise(() => {});
      };
      const target = name === "connect" || name === "endpoints" ? {} : { port, host: "127.0.0.1" };
      const options = { ...target, [name]: hang, timeouts: { connectMs: 30 }, reconnect: QUICK };
      const link = manage().open(options as never);
      const { error } = await turned(link, "reconnecting");
      expect(error).toMatchObject({ code: "TIMED_OUT", message: `the function ${name} took more than 30 ms` });
      expect(signals[0]?.aborted).toBe(true);
      await eventually(() => expect(signals.length).toBeGreaterThan(1));
    },
  );
});

describe("connect", () => {
  /** Through a stream that `made` has got its hands on. */
  async function expectWorks(made: (socket: net.Socket) => Duplex | Promise<Duplex>): Promise<void> {
    const { port } = await serve({}, echo);
    const streams: Duplex[] = [];
    const link = manage().open({
      reconnect: QUICK,
      connect: async () => {
        const socket = net.connect(port, "127.0.0.1");
        onTestFinished(() => void socket.destroy());
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

describe("tls", () => {
  const NOTHING: Array<[string, unknown]> = [
    ["undefined", undefined],
    ["null", null],
    ["false", false],
    ["true", true],
    ["an empty string", ""],
    ["a PEM", SECRET],
    ["the bytes of a PEM", Buffer.from(SECRET)],
    ["an array", []],
  ];

  /** In front of a server: how each connection began. */
  async function firstBytes(port: number): Promise<{ port: number; seen: number[] }> {
    const seen: number[] = [];
    const front = await rawServer((socket) => {
      const back = net.connect(port, "127.0.0.1");
      socket.once("data", (chunk: Buffer) => void seen.push(chunk[0] ?? 0));
      socket.pipe(back).pipe(socket);
      for (const each of [socket, back]) each.on("error", () => {});
      socket.on("close", () => back.destroy());
      back.on("close", () => socket.destroy());
    });
    return { port: front, seen };
  }
  const HANDSHAKE_RECORD = 0x16;

  test.each(NOTHING)("a function that gives %s fails the attempt: nothing goes out in clear text", async (_, given) => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    const front = await firstBytes(port);
    let isRight = false;
    const link = openTo(front.port, {
      tls: async () => (isRight ? { ca: pem.cert } : (given as never)),
      credentials: "token",
    });
    await expectRetried(link, "CONNECT_FAILED", /^the function tls gave what cannot be used: option tls is /);
    expect(front.seen).toEqual([]);
    isRight = true;
    await link.connected();
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
  });

  test("nor on a reconnect", async () => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    const relay = await relayTo(port);
    const front = await firstBytes(relay.port);
    let isRight = true;
    const tls = (() => (isRight ? { ca: pem.cert } : undefined)) as OpenOptions["tls"] & object;
    const link = openTo(front.port, { tls, credentials: "token" });
    await link.connected();
    isRight = false;
    const seen = failures(link);
    relay.cut("rst");
    await eventually(() => expect(seen.length).toBeGreaterThan(3));
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
    isRight = true;
    await link.connected();
    expect(front.seen).toEqual([HANDSHAKE_RECORD, HANDSHAKE_RECORD]);
  });

  test("nor on a standby", async () => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem }, echo);
    const relay = await relayTo(port);
    const front = await firstBytes(relay.port);
    let isRight = true;
    let asked = 0;
    const tls = (() => {
      asked++;
      return isRight ? { ca: pem.cert } : undefined;
    }) as OpenOptions["tls"] & object;
    const link = openTo(front.port, { tls, credentials: "token", keepalive: WATCHFUL });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    await link.flush();
    isRight = false;
    relay.blackHole();
    await turned(link, "suspect");
    await eventually(() => expect(asked).toBeGreaterThan(3), 5_000);
    expect(front.seen).toEqual([HANDSHAKE_RECORD]);
    isRight = true;
    relay.heal();
    await turned(link, "connected");
    expect(new Set(front.seen)).toEqual(new Set([HANDSHAKE_RECORD]));
  });

  test("what is undefined within the options does not replace the name that is checked", async () => {
    // Node would check the certificate for "localhost" then, whatever was dialled.
    const pem = await certificate();
    const { port } = await serve({ tls: pem, host: "127.0.0.2" });
    const undefinedNames = { host: undefined, servername: undefined } as object;
    const link = manage().open({ port, host: "127.0.0.2", tls: () => ({ ca: pem.cert, ...undefinedNames }) });
    expect((await link.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
  });

  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("not pinned");
      },
    ],
    ["gives a promise that rejects", () => Promise.reject(new Error("not pinned"))],
    ["gives false", () => false],
    ["gives an Error", () => new Error("not pinned")],
  ])("a checkServerIdentity that %s fails the attempt, and ends neither the link nor the process", async (_, check) => {
    const pem = await certificate();
    const { port } = await serve({ tls: pem });
    let isRight = false;
    const link = openTo(port, {
      tls: { ca: pem.cert, checkServerIdentity: () => (isRight ? undefined : (check() as Error)) },
    });
    await expectRetried(
      link,
      "CONNECT_FAILED",
      /^(not pinned|checkServerIdentity gave neither undefined nor an Error)$/,
    );
    isRight = true;
    await link.connected();
  });

  test("a name whose addresses all refuse is told of by its code", async () => {
    const link = manage().open({ port: await unusedPort(), host: "localhost", reconnect: QUICK });
    expect((await turned(link, "reconnecting")).error?.message).toMatch(/ECONNREFUSED/);
  });

  test("what a certificate says of itself has escapes", () => {
    const error = asError(
      new DialError("certificate", `is not in the cert's altnames: a\n\u202e${"b".repeat(10_000)}`),
    );
    expect(error.code).toBe("CERTIFICATE_INVALID");
    expect(error.message).toMatch(/^is not in the cert's altnames: a\\n\\u202eb+…$/);
    expect(error.message.length).toBeLessThanOrEqual(500);
  });

  test.each<[string, object, RegExp]>([
    ["at once", { ticketKeys: SECRET }, /refuses its options: The "options\.ticketKeys" property must be/],
    [
      "in the handshake",
      { ciphers: "PSK", maxVersion: "TLSv1.2", pskCallback: () => ({ psk: SECRET, identity: "me" }) },
      /^The "options?\.psk" property must be|^The "psk" argument must be|^ERR_/,
    ],
  ])("what node:tls says of the options %s shows no secret", async (_, given, saying) => {
    const pskCallback = (): Buffer => Buffer.alloc(16);
    const { port } = await serve({
      tls: { ...(await certificate()), ciphers: "PSK", maxVersion: "TLSv1.2", pskCallback },
    });
    await expectRetried(openTo(port, { tls: () => given }), "CONNECT_FAILED", saying);
  });
});

describe("shouldRetry", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const retryable = new RespliceError("CONNECT_FAILED", "no");
  const final = new RespliceError("CERTIFICATE_INVALID", "no");

  test("that cannot say leaves it to the error", () => {
    const { lines, logger } = logKeeper();
    const rejected = Promise.reject(new Error("late"));
    const throws = (): boolean => {
      throw new Error("mine\n");
    };
    for (const shouldRetry of [undefined, throws, () => rejected as never, () => undefined as never]) {
      expect(isRetried(retryable, shouldRetry, "l", logger)).toBe(true);
      expect(isRetried(final, shouldRetry, "l", logger)).toBe(false);
    }
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatchObject({
      level: "warn",
      event: "link.hook-failed",
      link: "l",
      hook: "reconnect.shouldRetry",
      detail: "mine\\n",
    });
    expect(isRetried(final, () => true, "l", logger)).toBe(true);
    expect(isRetried(retryable, () => false, "l", logger)).toBe(false);
  });

  test("that throws ends neither the link nor the process; without a logger the process is warned, once", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const port = await unusedPort();
    const shouldRetry = (): boolean => {
      throw new Error("mine");
    };
    const link = openTo(port, { reconnect: { ...QUICK, shouldRetry } });
    const seen = failures(link);
    await eventually(() => expect(seen.length).toBeGreaterThan(3));
    await serve({ port });
    await link.connected();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0]?.[0])).toContain("(reconnect.shouldRetry: mine)");
  });
});
