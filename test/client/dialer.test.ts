import { once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { encodeRefuse } from "../../src/core/wire/frames.ts";
import { type Endpoint, type Link, RespliceError, ServerSupervisor, type StateChange } from "../../src/index.ts";
import {
  certificate,
  echo,
  eventually,
  failure,
  heard,
  isPending,
  manage,
  openTo,
  pair,
  QUICK,
  rawServer,
  receiveText,
  relayTo,
  runToExit,
  serve,
  socketPath,
  turned,
  unusedPort,
  WATCHFUL,
} from "../support.ts";

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/** Why the first attempt failed. */
async function firstFailure(link: Link): Promise<RespliceError | undefined> {
  return (await turned(link, "reconnecting")).error;
}

describe("a server that is not there yet", () => {
  test("is dialled until it is", async () => {
    const port = await unusedPort();
    const link = openTo(port);
    link.trySend("patient");
    await turned(link, "reconnecting");
    const { links } = await serve({ port });
    expect(await receiveText(await links.next())).toBe("patient");
  });

  test("that accepts and closes at once is not connected, and is retried", async () => {
    const port = await rawServer((socket) => socket.end());
    const link = openTo(port);
    expect(await firstFailure(link)).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    expect(await isPending(link.connected())).toBe(true);
  });

  test("that resets", async () => {
    const port = await rawServer((socket) => socket.resetAndDestroy());
    // Whether it comes before or after the connection is established is the kernel's to say.
    const error = await firstFailure(openTo(port));
    expect(error?.code).toMatch(/^(CONNECTION_LOST|CONNECT_FAILED)$/);
    expect(error?.retryable).toBe(true);
  });

  test("that says nothing: the handshake's deadline, doubled for what timed out", async () => {
    const port = await rawServer(() => {});
    const link = openTo(port, { timeouts: { handshakeMs: 60 } });
    const startedMs = performance.now();
    expect(await firstFailure(link)).toMatchObject({ code: "TIMED_OUT", retryable: true });
    const firstMs = performance.now() - startedMs;
    expect(firstMs).toBeGreaterThan(55);
    const secondMs = performance.now();
    const { attempt } = await turned(link, "reconnecting");
    expect(performance.now() - secondMs).toBeGreaterThan(115);
    expect(attempt).toBe(3);
  });

  test.each([
    ["HTTP", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"],
    ["a banner", "220 mail.example.com ESMTP\r\n"],
    ["zeros", Buffer.alloc(100)],
    ["an oversized frame", Buffer.from([2, 0, 0, 0, 255, 255, 255, 255])],
  ])("that answers with %s", async (_, answer) => {
    const port = await rawServer((socket) => void socket.write(answer));
    const error = await firstFailure(openTo(port));
    expect(error).toMatchObject({ code: "CONNECT_FAILED", retryable: true });
    expect(error?.message).toContain("does not speak the protocol");
  });
});

describe("giving up", () => {
  test("after maxAttempts", async () => {
    const link = openTo(await unusedPort(), { reconnect: { ...QUICK, maxAttempts: 3 } });
    let attempts = 1;
    link.on("state", ({ to }) => {
      if (to === "connecting") attempts++;
    });
    const error = await heard(link, "error");
    expect(error).toMatchObject({ code: "GAVE_UP", retryable: false, cause: { code: "CONNECT_FAILED" } });
    // The first was before we could listen, or is counted twice.
    expect(attempts).toBeGreaterThanOrEqual(3);
    expect(attempts).toBeLessThanOrEqual(4);
    expect((await link.closed).error).toBe(error);
  });

  test("after maxElapsedMs, with what is undelivered", async () => {
    const link = openTo(await unusedPort(), { reconnect: { ...QUICK, maxElapsedMs: 100 } });
    link.trySend("for nobody");
    const startedMs = performance.now();
    const { error, undelivered } = await link.closed;
    expect(error?.code).toBe("GAVE_UP");
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(undelivered).toEqual([{ message: Buffer.from("for nobody"), delivery: "not-sent", position: undefined }]);
  });

  test("with maxAttempts 0 the first connection is the only one", async () => {
    const { client, relay } = await pair({ reconnect: { maxAttempts: 0 } });
    relay.cut("rst");
    expect((await client.closed).error).toMatchObject({ code: "GAVE_UP" });
  });

  test("shouldRetry overrides what an error says", async () => {
    const seen: string[] = [];
    const once_ = openTo(await unusedPort(), {
      reconnect: {
        ...QUICK,
        shouldRetry: (error) => {
          seen.push(error.code);
          return false;
        },
      },
    });
    expect((await once_.closed).error).toMatchObject({ code: "CONNECT_FAILED" });
    expect(seen).toEqual(["CONNECT_FAILED"]);
  });

  test("a shouldRetry that throws says nothing: what may be retried is, and nothing else", async () => {
    const shouldRetry = (): never => {
      throw new Error("mine");
    };
    const { port } = await serve({ authenticate: () => null });
    const refused = openTo(port, { reconnect: { ...QUICK, shouldRetry } });
    expect((await refused.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED" });
    const later = await unusedPort();
    const link = openTo(later, { reconnect: { ...QUICK, shouldRetry } });
    await turned(link, "reconnecting");
    await serve({ port: later });
    await link.connected();
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["an object that cannot be told", Object.create(null)],
    ["a TypeError", new TypeError("mine")],
  ])("a function that throws %s fails the attempt, and no more", async (_, thrown) => {
    const { port } = await serve();
    let calls = 0;
    const link = openTo(port, {
      credentials: () => {
        calls++;
        if (calls === 1) throw thrown;
        return "";
      },
    });
    const { error } = await turned(link, "reconnecting");
    expect(error?.code).toBe("CONNECT_FAILED");
    expect(error?.cause).toBe(thrown);
    await link.connected();
  });
});

describe("retryNow()", () => {
  test("dials at once instead of waiting", async () => {
    const port = await unusedPort();
    const link = openTo(port, { reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    await turned(link, "reconnecting");
    const { links } = await serve({ port });
    link.retryNow();
    await link.connected();
    await links.next();
  });

  test("does nothing to a link that is connected, or closed", async () => {
    const { client, server } = await pair();
    client.retryNow();
    server.retryNow();
    expect(client.state).toBe("connected");
    await client.close();
    client.retryNow();
    expect(client.state).toBe("closed");
  });
});

describe("targets", () => {
  test("a Unix socket", async () => {
    const path = await socketPath();
    await serve({ path }, echo);
    const link = manage().open({ path });
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
  });

  test("endpoints in order: one that fails is passed over", async () => {
    const { port } = await serve({}, echo);
    const dead = await unusedPort();
    const host = "127.0.0.1";
    const link = manage().open({
      endpoints: [
        { port: dead, host },
        { port, host },
      ],
      reconnect: QUICK,
    });
    const error = await firstFailure(link);
    expect(error?.code).toBe("CONNECT_FAILED");
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
  });

  test("failover: the link goes on at another server, where its session is not known", async () => {
    const [one, two] = [await serve(), await serve()];
    const relay = await relayTo(one.port);
    const endpoints: Endpoint[] = [{ port: relay.port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints: () => endpoints, reconnect: QUICK });
    await link.send("one");
    expect(await receiveText(await one.links.next())).toBe("one");
    endpoints[0] = { port: two.port, host: "127.0.0.1" };
    relay.cut("rst");
    expect(await turned(link, "connected")).toMatchObject({ session: "new", reason: "session-lost" });
    await link.send("two");
    expect(await receiveText(await two.links.next())).toBe("two");
  });

  test("a function of endpoints is asked for each attempt, and may fail", async () => {
    const { port } = await serve();
    const attempts: number[] = [];
    const link = manage().open({
      reconnect: QUICK,
      endpoints: ({ number, signal }) => {
        attempts.push(number);
        expect(signal.aborted).toBe(false);
        if (number === 1) throw new Error("no registry");
        if (number === 2) return Promise.reject(new TypeError("still none"));
        return [{ port, host: "127.0.0.1" }];
      },
    });
    await link.connected();
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("of an endpoint whose handshake failed nothing is kept", async () => {
    const port = await rawServer((socket) => socket.end());
    const given: Array<WeakRef<Endpoint>> = [];
    const link = manage().open({
      reconnect: QUICK,
      endpoints: () => {
        const endpoint = { port, host: "127.0.0.1" };
        given.push(new WeakRef(endpoint));
        return [endpoint];
      },
    });
    await eventually(() => expect(given.length).toBeGreaterThan(20));
    collectGarbage();
    expect(given.filter((each) => each.deref() !== undefined).length).toBeLessThan(5);
    expect(link.state).not.toBe("closed");
  });

  test("connect: any Duplex, a new one for each attempt", async () => {
    const { port } = await serve({}, echo);
    const streams: net.Socket[] = [];
    const link = manage().open({
      reconnect: QUICK,
      connect: async ({ number }) => {
        if (number === 1) throw new Error("not yet");
        const stream = net.connect(port, "127.0.0.1");
        streams.push(stream);
        await once(stream, "connect");
        return stream;
      },
    });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    streams[0]?.destroy();
    await link.send("two");
    expect(await receiveText(link)).toBe("two");
    expect(streams).toHaveLength(2);
  });

  test("connect: a stream whose error reads like a refusal is lost, and dialled again", async () => {
    const { port } = await serve();
    const link = manage().open({
      reconnect: QUICK,
      connect: ({ number }) => {
        const stream = net.connect(port, "127.0.0.1");
        if (number === 1) stream.once("connect", () => stream.destroy(new Error("authentication")));
        return stream;
      },
    });
    expect(await firstFailure(link)).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    await link.connected();
  });

  test("a terminal RespliceError from a function of the application's ends the link", async () => {
    const link = manage().open({
      connect: () => {
        throw new RespliceError("AUTHENTICATION_REFUSED", "the proxy says no");
      },
    });
    expect((await link.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED", message: "the proxy says no" });
  });
});

describe("credentials", () => {
  test("a function is called for each attempt, resumes included", async () => {
    const seen: string[] = [];
    const { port } = await serve({
      authenticate: ({ credentials }) => {
        seen.push(String(credentials));
        return "someone";
      },
    });
    const relay = await relayTo(port);
    const link = openTo(relay.port, { credentials: async ({ number }) => `token ${seen.length} of attempt ${number}` });
    await link.connected();
    relay.cut("rst");
    await turned(link, "connected");
    expect(seen).toEqual(["token 0 of attempt 1", "token 1 of attempt 1"]);
  });

  test("one that throws fails the attempt", async () => {
    const { port } = await serve();
    let calls = 0;
    const link = openTo(port, {
      credentials: () => {
        if (++calls < 3) throw new Error("the vault is shut");
        return "token";
      },
    });
    await link.connected();
    expect(calls).toBe(3);
  });

  test("one that hangs is ended with the link", async () => {
    const { port } = await serve();
    let signal: AbortSignal | undefined;
    const link = openTo(port, {
      credentials: (attempt) => {
        signal = attempt.signal;
        return new Promise<string>(() => {});
      },
    });
    await eventually(() => expect(signal?.aborted).toBe(false));
    expect(await link.close()).toEqual({ undelivered: [] });
    await eventually(() => expect(signal?.aborted).toBe(true));
  });
});

describe("refusals", () => {
  test.each([1, 600_000, 0xffff_ffff])(
    "to come back after %d ms is obeyed within the link's own bounds",
    async (ms) => {
      const port = await rawServer((socket) => socket.once("data", () => socket.end(encodeRefuse("overloaded", ms))));
      const link = openTo(port, { reconnect: { minDelayMs: 30, maxDelayMs: 60 } });
      const delaysMs: number[] = [];
      link.on("state", (change) => {
        if (change.to === "reconnecting") delaysMs.push(change.nextDelayMs);
      });
      await eventually(() => expect(delaysMs.length).toBeGreaterThan(3));
      expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(30);
      expect(Math.max(...delaysMs)).toBeLessThanOrEqual(60);
    },
  );

  test("another mode is PROTOCOL_MISMATCH, for good", async () => {
    const { port } = await serve({ mode: "bytes" });
    const link = openTo(port);
    link.trySend("one");
    const { error, undelivered } = await link.closed;
    expect(error).toMatchObject({ code: "PROTOCOL_MISMATCH", retryable: false });
    expect(undelivered).toMatchObject([{ delivery: "not-sent" }]);
  });

  test("every call after that says what ended the link", async () => {
    const { port } = await serve({ mode: "bytes" });
    const link = openTo(port);
    await link.closed;
    expect(await failure(link.send("late"))).toMatchObject({
      code: "LINK_ENDED",
      cause: { code: "PROTOCOL_MISMATCH" },
    });
    expect(await failure(link.receive())).toMatchObject({ code: "PROTOCOL_MISMATCH" });
  });
});

describe("TLS", () => {
  test("a link, with the server's name checked", async () => {
    const tls = await certificate();
    const { port } = await serve({ tls }, echo);
    const link = manage().open({ port, host: "localhost", tls: { ca: tls.cert } });
    await link.send("secret");
    expect(await receiveText(link)).toBe("secret");
  });

  test("an authority that is not trusted is CERTIFICATE_INVALID, for good", async () => {
    const { port } = await serve({ tls: await certificate() });
    for (const tls of [true, { ca: (await certificate()).cert }] as const) {
      const link = manage().open({ port, host: "localhost", tls });
      const { error } = await link.closed;
      expect(error).toMatchObject({ code: "CERTIFICATE_INVALID", retryable: false });
      expect(error?.cause).toBeInstanceOf(Error);
    }
  });

  test("so is a certificate for another name", async () => {
    const tls = await certificate("elsewhere.example");
    const { port } = await serve({ tls });
    const link = manage().open({ port, host: "localhost", tls: { ca: tls.cert } });
    expect((await link.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
    // By address it is the right one.
    const other = manage().open({ port, host: "127.0.0.1", tls: { ca: tls.cert } });
    await other.connected();
  });

  test("a function reads renewed options for each attempt", async () => {
    const tls = await certificate();
    const { port } = await serve({ tls }, echo);
    let calls = 0;
    const link = openTo(port, {
      tls: async () => {
        if (++calls === 1) throw new Error("the file is being written");
        return { ca: tls.cert };
      },
    });
    await link.connected();
    expect(calls).toBe(2);
  });

  test("to a server without TLS: retried", async () => {
    const { port } = await serve();
    expect(await firstFailure(openTo(port, { tls: true }))).toMatchObject({ retryable: true });
  });

  test("without TLS to a server with TLS: retried", async () => {
    const { port } = await serve({ tls: await certificate() });
    expect(await firstFailure(openTo(port))).toMatchObject({ retryable: true });
  });

  test("to a server that says nothing: tlsMs", async () => {
    const port = await rawServer(() => {});
    const error = await firstFailure(openTo(port, { tls: true, timeouts: { tlsMs: 50 } }));
    expect(error).toMatchObject({ code: "TIMED_OUT" });
  });

  test("options that node:tls refuses fail the attempt, and close its connection", async () => {
    let open = 0;
    const port = await rawServer((socket) => {
      open++;
      socket.on("close", () => open--);
      socket.resume();
    });
    const link = openTo(port, { tls: () => ({ cert: "no certificate", key: "no key" }) });
    expect(await firstFailure(link)).toMatchObject({ code: "CONNECT_FAILED" });
    await link.close({ deadlineMs: 0 });
    await eventually(() => expect(open).toBe(0), 1_000);
  });

  test("and a reset that comes after that does not end the process", { timeout: 20_000 }, async () => {
    const port = await rawServer((socket) => void setTimeout(() => socket.resetAndDestroy(), 50));
    const printed = await runToExit(`
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port: ${port}, host: "127.0.0.1", tls: () => ({ cert: "no certificate" }) });
      await new Promise((resolve) => setTimeout(resolve, 500));
      await manager.close({ deadlineMs: 0 });
      console.log("alive");
      process.exit();
    `);
    expect(printed).toBe("alive");
  });

  test("a client's certificate reaches authenticate()", async () => {
    const [server, client] = [await certificate(), await certificate("client.example")];
    const names: Array<string | undefined> = [];
    const { port } = await serve({
      tls: { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true },
      authenticate: ({ certificate: presented }) => {
        names.push(presented?.subject.CN as string | undefined);
        return "someone";
      },
    });
    await openTo(port, { tls: { ca: server.cert, ...client } }).connected();
    expect(names).toEqual(["client.example"]);
  });
});

test("of very many suspect links each stands by in its turn", { timeout: 30_000 }, async () => {
  const { port } = await serve({}, echo);
  const relay = await relayTo(port);
  let isDown = false;
  const manager = manage({ defaults: { keepalive: WATCHFUL, reconnect: QUICK } });
  const links = Array.from({ length: 40 }, () => {
    // While it is down nobody answers a SYN.
    const connect = ({ signal }: { signal: AbortSignal }): Promise<Duplex> =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        if (isDown) return;
        const socket = net.connect(relay.port, "127.0.0.1", () => resolve(socket));
        socket.on("error", reject);
      });
    return manager.open({ connect });
  });
  await Promise.all(
    links.map(async (link) => {
      await link.send("hello");
      expect(await receiveText(link)).toBe("hello");
      await link.flush();
    }),
  );
  isDown = true;
  const suspected = Promise.all(links.map((link) => turned(link, "suspect")));
  relay.blackHole();
  await suspected;
  const back = Promise.all(links.map((link) => turned(link, "connected")));
  isDown = false;
  relay.heal();
  await back;
});

test("dials made during an outage thin out, and each is announced", async () => {
  const port = await unusedPort();
  const link = openTo(port, { reconnect: { minDelayMs: 20, maxDelayMs: 40 } });
  const changes: StateChange[] = [];
  link.on("state", (change) => changes.push(change));
  await eventually(() => expect(changes.filter(({ to }) => to === "reconnecting").length).toBeGreaterThan(8));
  const delays = changes.flatMap((change) => (change.to === "reconnecting" ? [change.nextDelayMs] : []));
  for (const delay of delays) {
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThanOrEqual(40);
  }
  expect(new Set(delays).size).toBeGreaterThan(4);
});

test("a server that restarts over and over: the link is back each time, with what was sent meanwhile", async () => {
  let server = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
  const seen: string[] = [];
  const serveOn = (supervisor: ServerSupervisor): void =>
    supervisor.serve((link) => link.onMessage((message) => void seen.push(String(message))));
  serveOn(server);
  const { port } = await server.listen();
  const relay = await relayTo(port);
  const link = openTo(relay.port);
  await link.connected();
  for (let i = 0; i < 5; i++) {
    await link.send(`message ${i}`, { until: "accepted" });
    relay.refuse();
    relay.cut("rst");
    await turned(link, "reconnecting");
    await server.close({ deadlineMs: 0 });
    server = new ServerSupervisor({ port, host: "127.0.0.1" });
    serveOn(server);
    await server.listen();
    relay.heal();
    await turned(link, "connected");
  }
  expect(seen).toEqual([0, 1, 2, 3, 4].map((i) => `message ${i}`));
  expect((await link.close()).undelivered).toEqual([]);
  await server.close();
});
