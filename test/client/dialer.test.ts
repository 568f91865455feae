import net from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { encodeRefuse } from "../../src/core/wire/frames.ts";
import { ServerSupervisor, type StateChange } from "../../src/index.ts";
import {
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
  serve,
  turned,
  unusedPort,
  WATCHFUL,
} from "../support.ts";
import { firstFailure } from "./first-failure.ts";

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
    expect(error).toMatchObject({
      message: expect.stringMatching(/^gave up after 3 attempts: CONNECT_FAILED: .*ECONNREFUSED/),
    });
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

test("a function of the options that ends its link, and throws, ends the link alone", async () => {
  const link = manage().open({
    port: await unusedPort(),
    host: "127.0.0.1",
    credentials: () => {
      link.abort();
      throw new Error("logged out");
    },
  });
  expect((await link.closed).error).toBeUndefined();
});

test("a listener that ends its link when it hears of the attempt: nothing is dialled", async () => {
  let dials = 0;
  const link = manage().open({
    connect: () => {
      dials++;
      throw new Error("nothing there");
    },
  });
  link.on("state", ({ to }) => {
    if (to === "connecting") link.abort();
  });
  await link.closed;
  // The attempt asks for its connection in promises alone.
  await new Promise((resolve) => setImmediate(resolve));
  expect(dials).toBe(0);
});
