/** `limits.rates`: links that are handed messages more slowly than they come. */
import { describe, expect, test } from "vitest";
import { KiB, type Limits, type Link, type ServerSupervisorOptions } from "../../src/index.ts";
import type { Clock } from "../../src/link/ports.ts";
import { Rates } from "../../src/server/rates.ts";
import { connect, dial, type Server, setUp } from "./served-sessions.ts";

type Given = NonNullable<Limits["rates"]>;

/** How many messages each link of the server was handed, in the order in which they were opened. */
type Counts = number[];

/** A server whose handlers count. `read`: how the link is read. */
function counting(
  rates: Given,
  options: Partial<ServerSupervisorOptions> = {},
  read: (link: Link, count: () => void) => void = (link, count) => link.onMessage(count),
): { server: Server; counts: Counts } {
  const counts: Counts = [];
  const server = setUp(
    (link) => {
      const n = counts.push(0) - 1;
      read(link, () => void (counts[n] = (counts[n] ?? 0) + 1));
    },
    { ...options, limits: { ...options.limits, rates } },
  );
  return { server, counts };
}

/** Sends as many messages as there is room for. */
function flood(link: Link, messages: number, bytes = 1): void {
  for (let n = 0; n < messages; n++) link.trySend(Buffer.alloc(bytes));
}

describe("of a link", () => {
  const READERS: Array<[string, (link: Link, count: () => void) => void]> = [
    ["a handler", (link, count) => link.onMessage(count)],
    ["an async handler", (link, count) => link.onMessage(async () => count())],
    [
      "a loop",
      (link, count) =>
        void (async () => {
          for await (const _ of link) count();
        })(),
    ],
    [
      "receive()",
      (link, count) =>
        void (async () => {
          while ((await link.receive()) !== null) count();
        })(),
    ],
  ];
  test.each(READERS)("%s is handed a second's worth at once, then as many as come back", async (_, read) => {
    const { server, counts } = counting({ link: { messagesPerSecond: 10 } }, {}, read);
    const link = await connect(server);
    flood(link, 100);
    await server.clock.advance(0);
    expect(counts).toEqual([10]);
    await server.clock.advance(999);
    expect(counts).toEqual([19]);
    await server.clock.advance(4_001);
    expect(counts).toEqual([60]);
    await server.clock.advance(10_000);
    expect(counts).toEqual([100]);
    expect(server.sessions.stats().held).toMatchObject({ identity: 0, address: 0 });
    expect(server.sessions.stats().held.link).toBeGreaterThan(50);
  });

  test("a byte stream is read at its rate, and is whole", async () => {
    let bytes = 0;
    const rates = { link: { bytesPerSecond: 10_000 } };
    const server = setUp((link) => void link.duplex().on("data", (chunk: Buffer) => (bytes += chunk.length)), {
      mode: "bytes",
      limits: { rates },
    });
    const link = await connect(server, { mode: "bytes" });
    link.duplex().end(Buffer.alloc(1_000_000));
    await server.clock.advance(20_000);
    // A chunk of the network is handed out whole.
    expect(bytes).toBeGreaterThanOrEqual(210_000);
    expect(bytes).toBeLessThan(210_000 + 131_072);
    await server.clock.advance(90_000);
    expect(bytes).toBe(1_000_000);
  });

  test("a message that is larger than a second's worth is handed out whole, and the next one so much later", async () => {
    const { server, counts } = counting({ link: { bytesPerSecond: 1_000 } });
    const link = await connect(server);
    flood(link, 2, 5_000);
    await server.clock.advance(3_999);
    expect(counts).toEqual([1]);
    await server.clock.advance(10);
    expect(counts).toEqual([2]);
  });

  test("a client above it is held back by its window, and keeps its connection; nothing is lost, and no stall is told", async () => {
    const { server, counts } = counting(
      // 20 s for each message.
      { link: { bytesPerSecond: 200 } },
      { window: { minBytes: 8 * KiB, maxBytes: 8 * KiB }, maxMessageBytes: 4 * KiB },
    );
    const states: string[] = [];
    const link = await connect(server, { queue: { maxMessages: 10 }, maxMessageBytes: 4 * KiB });
    link.on("state", ({ to }) => states.push(to));
    let stalls = 0;
    server.links[0]?.on("stalled", () => stalls++);
    flood(link, 10, 4_000);
    await server.clock.advance(300_000);
    expect(counts).toEqual([10]);
    let taken = 0;
    while (link.trySend(Buffer.alloc(4_000))) taken++;
    expect(taken).toBeLessThan(20);
    await server.clock.advance(400_000);
    expect([counts, states, stalls]).toEqual([[10 + taken], [], 0]);
    expect(server.links[0]?.stats().reconnects).toBe(0);
  });

  test("it goes with the link, through cuts", async () => {
    const { server, counts } = counting({ link: { messagesPerSecond: 5 } });
    const link = await connect(server);
    flood(link, 20);
    await server.clock.advance(0);
    for (let n = 0; n < 3; n++) {
      server.path.cut("rst");
      await server.clock.advance(0);
      await server.clock.advanceUntil(() => link.state === "connected");
    }
    const sinceMs = server.clock.nowMs;
    expect(counts[0]).toBeLessThanOrEqual(5 + Math.ceil((5 * sinceMs) / 1_000));
    await server.clock.advance(10_000);
    expect(counts).toEqual([20]);
  });
});

describe("shared", () => {
  const authenticate = ({ credentials }: { credentials: Buffer }): string => credentials.toString();

  test("by the links of an identity, which take turns; another identity has its own", async () => {
    const { server, counts } = counting({ identity: { messagesPerSecond: 10 } }, { authenticate });
    const links = [
      await connect(server, { credentials: "alice" }),
      await connect(server, { credentials: "alice" }),
      await connect(server, { credentials: "bob" }),
    ];
    for (const link of links) flood(link, 100);
    await server.clock.advance(4_000);
    const [one = 0, two = 0, bob = 0] = counts;
    expect([one + two, bob]).toEqual([50, 50]);
    // The burst was taken by the one that came first. From then on they take turns.
    await server.clock.advance(2_000);
    expect([counts[0], counts[1]]).toEqual([one + 10, two + 10]);
    expect(server.sessions.stats().held.identity).toBeGreaterThan(0);
  });

  test("by the links of an address, also when one comes from another; none is kept when its links are gone", async () => {
    const { server, counts } = counting({ address: { messagesPerSecond: 10 } });
    server.client.address = "192.0.2.1";
    const links = [await connect(server), await connect(server)];
    server.client.address = "192.0.2.2";
    links.push(await connect(server));
    for (const link of links) flood(link, 40);
    await server.clock.advance(1_000);
    expect([(counts[0] ?? 0) + (counts[1] ?? 0), counts[2]]).toEqual([20, 20]);
    server.path.cut("rst");
    await server.clock.advanceUntil(() => links.every((link) => link.state === "connected"));
    const before = counts.reduce((sum, count) => sum + count);
    await server.clock.advance(1_000);
    // All three have one address now.
    expect(counts.reduce((sum, count) => sum + count) - before).toBeLessThanOrEqual(11);
    await server.clock.advance(20_000);
    expect(counts).toEqual([40, 40, 40]);
    for (const link of links) void link.close();
    await server.clock.advance(20_000);
    expect([server.sessions.stats().sessions, server.sessions.rates.groups]).toEqual([{ connected: 0, waiting: 0 }, 0]);
  });

  test("clients without an address, as on a Unix socket, are not one client", async () => {
    const { server, counts } = counting({ address: { messagesPerSecond: 10 } });
    server.client.address = "";
    flood(await connect(server), 40);
    await server.clock.advance(0);
    expect(counts).toEqual([40]);
  });

  test("a link that nobody reads keeps no other from its turn", async () => {
    const { server, counts } = counting({ address: { messagesPerSecond: 10 } }, {}, (link, count) => {
      if (server.links.length > 1) return link.onMessage(count);
      // Asks for one, and not again.
      link.receive().then(count, () => {});
    });
    const [idle, busy] = [await connect(server), await connect(server)];
    flood(idle, 40);
    flood(busy, 40);
    await server.clock.advance(3_000);
    expect(counts).toEqual([1, 39]);
  });
});

describe("a line", () => {
  /** Two links of one address. Its ten messages are taken. Timers run when the test says so. */
  function twoLinks() {
    let nowMs = 0;
    const timers: Array<() => void> = [];
    const clock: Partial<Clock> = {
      now: () => nowMs,
      timer: (run, of) => {
        timers.push(() => run(of as NonNullable<typeof of>));
        return { set: () => {}, clear: () => {}, holdProcess: () => {} };
      },
    };
    const rates = new Rates({ address: { messagesPerSecond: 10, bytesPerSecond: Infinity } }, clock as Clock);
    const served: string[] = [];
    const link = (name: string) => {
      const handed = { messages: 0, bytes: 0 };
      const pace = rates.paceOf({ identity: undefined, driver: { remoteAddress: "192.0.2.1" } });
      // The link takes one message when it is served, and does not ask for another.
      const turn = { handed, goOn: () => void (take() && served.push(name)) };
      const take = (): boolean => {
        const may = pace.allows(turn, nowMs);
        if (may) handed.messages++;
        return may;
      };
      return { take };
    };
    const links = { a: link("a"), b: link("b") };
    for (let n = 0; n < 10; n++) links.a.take();
    const pass = (ms: number): void => void (nowMs += ms);
    return { ...links, served, pass, runTimers: () => timers.forEach((run) => run()) };
  }

  test("a link that finds another waiting waits behind it, though there is room", () => {
    const { a, b, served, pass, runTimers } = twoLinks();
    expect(a.take()).toBe(false);
    pass(100);
    expect(b.take()).toBe(false);
    runTimers();
    expect(served).toEqual(["a"]);
    pass(100);
    runTimers();
    expect(served).toEqual(["a", "b"]);
  });

  test("a link that is served is charged before the next one is", () => {
    const { a, b, served, pass, runTimers } = twoLinks();
    expect([a.take(), b.take()]).toEqual([false, false]);
    pass(100);
    runTimers();
    expect(served).toEqual(["a"]);
  });
});

describe("changed", () => {
  test("for links that are here: set, lowered, and taken away", async () => {
    const { server, counts } = counting({});
    const link = await connect(server);
    flood(link, 50);
    await server.clock.advance(0);
    expect(counts).toEqual([50]);
    server.sessions.setLimits({ rates: { link: { messagesPerSecond: 10 } } });
    flood(link, 100);
    await server.clock.advance(0);
    expect(counts).toEqual([60]);
    await server.clock.advance(1_000);
    expect(counts).toEqual([70]);
    server.sessions.setLimits({ rates: { link: { messagesPerSecond: 2 } } });
    await server.clock.advance(2_000);
    expect(counts).toEqual([74]);
    server.sessions.setLimits({ rates: {} });
    await server.clock.advance(0);
    expect(counts).toEqual([150]);
    // Messages that were read without a rate are not owed when there is one again.
    server.sessions.setLimits({ rates: { link: { messagesPerSecond: 10 } } });
    await server.clock.advance(1_000);
    flood(link, 5);
    await server.clock.advance(0);
    expect(counts).toEqual([155]);
  });
});

test("a client that waits for room waits for the rate, too", async () => {
  const { server, counts } = counting({ link: { messagesPerSecond: 10 } });
  const link = dial(server, { queue: { maxMessages: 5 } });
  await server.clock.advance(0);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 30; sent++) await link.send(String(sent));
  })();
  await server.clock.advance(10_000);
  await sending;
  expect(counts).toEqual([30]);
});
