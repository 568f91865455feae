/** In which order a server goes away, and how long each step may take. */
import net from "node:net";
import { describe, expect, test } from "vitest";
import type { Link, LinkReport } from "../../src/index.ts";
import type { Clock } from "../../src/link/ports.ts";
import { acceptWaiting, drain, type DrainOptions, resolveDrain } from "../../src/server/drain.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { echo, eventually, isPending, openTo, receiveText, refusal, serve, turned } from "../support.ts";
import { connects } from "./connects.ts";
import { echoLines, lineClient, servePlain } from "./plain-servers.ts";

describe("the options", () => {
  test("have defaults", () => {
    expect(resolveDrain({})).toEqual({ deadlineMs: 5_000, readyDelayMs: 0 });
  });

  test.each<[DrainOptions, string]>([
    [{ deadlineMs: -1 }, "deadlineMs"],
    [{ readyDelayMs: -1 }, "readyDelayMs"],
    [{ readyDelayMs: 0.5 }, "readyDelayMs"],
    [{ readyDelayMs: 5_001 }, "readyDelayMs"],
    [{ deadlineMs: 100, readyDelayMs: 101 }, "readyDelayMs"],
    [{ signal: 1 as never }, "signal"],
  ])("%o is refused", async (options, name) => {
    const { supervisor } = await serve();
    expect(refusal(() => supervisor.close(options))).toMatchObject({ code: "INVALID_OPTION", option: { name } });
    expect(supervisor.state).toBe("listening");
  });
});

describe("the order", () => {
  /** Drains under virtual time, and answers what was done when. */
  async function drained(acceptsWhileDraining: boolean, options: DrainOptions) {
    const clock = new VirtualTime();
    const done: Array<[what: string, atMs: number]> = [];
    const links = {
      acceptsWhileDraining,
      drain: ({ deadlineMs }: DrainOptions) => {
        done.push([`links have ${deadlineMs}`, clock.nowMs]);
        return Promise.resolve(new Map<Link, LinkReport>());
      },
    };
    const listener = { accepted: 0, stopListening: () => void done.push(["not listening", clock.nowMs]) };
    let isOver = false;
    void drain({ clock, listener, links }, resolveDrain(options)).then(() => (isOver = true));
    await clock.advanceUntil(() => isOver);
    return done;
  }

  test("where clients cannot come back, the listener is closed first", async () => {
    expect(await drained(false, { deadlineMs: 1_000, readyDelayMs: 300 })).toEqual([
      ["not listening", 300],
      ["links have 700", 300],
    ]);
  });

  test("where clients come back to finish, the listener is closed last", async () => {
    expect(await drained(true, { deadlineMs: 1_000, readyDelayMs: 300 })).toEqual([
      ["links have 700", 300],
      ["not listening", 300],
    ]);
  });

  test("without a deadline", async () => {
    expect((await drained(true, { deadlineMs: Infinity, readyDelayMs: 50 }))[0]).toEqual(["links have Infinity", 50]);
  });

  test("a signal that is aborted ends the wait for the load balancer", async () => {
    const signal = AbortSignal.abort();
    expect((await drained(true, { deadlineMs: 1_000, readyDelayMs: 300, signal }))[0]).toEqual(["links have 1000", 0]);
  });
});

describe("connections that wait to be accepted", () => {
  test.each([
    [60_000, 1_000],
    [400, 100],
  ])("are waited for while they come: with %d ms left for %d ms", async (deadlineMs, mostMs) => {
    let nowMs = 0;
    let accepted = 0;
    const clock: Pick<Clock, "now" | "afterPoll"> = {
      now: () => nowMs,
      afterPoll: (run, of) => {
        nowMs += 10;
        accepted++;
        run(of);
      },
    };
    await acceptWaiting(() => accepted, clock, deadlineMs);
    expect(nowMs).toBe(mostMs);
  });

  test("of a plain server are let in, and ended in order: closing the listener would reset them", async () => {
    const { port, supervisor, links } = await servePlain();
    // They connect while this process does nothing else, and wait in the backlog.
    const ends = Array.from({ length: 20 }, () => endOf(port));
    await new Promise((resolve) => setImmediate(resolve));
    expect(links.size).toBeLessThan(ends.length);
    const closing = supervisor.close({ deadlineMs: 2_000 });
    expect(await Promise.all(ends)).toEqual(ends.map(() => "ended"));
    expect((await closing).left).toBe(0);
    expect(links.size).toBe(ends.length);
    expect(await connects(port)).toBe(false);
  });
});

/** How the server ends a connection to it: "ended", or the code of the error. */
function endOf(port: number): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.on("end", () => resolve("ended"));
    socket.resume();
  });
}

describe("readyDelayMs", () => {
  test("a durable server is down at once, and opens links until it is over", async () => {
    const { port, supervisor } = await serve({}, echo);
    const early = openTo(port);
    await early.connected();
    const closing = supervisor.close({ deadlineMs: 5_000, readyDelayMs: 400 });
    expect(supervisor.health()).toEqual({ status: "down", reasons: ["the server is draining"] });
    const late = openTo(port);
    await late.send("let in");
    expect(await receiveText(late)).toBe("let in");
    expect([early.state, late.state, supervisor.links.size]).toEqual(["connected", "connected", 2]);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    expect([early.state, late.state]).not.toContain("closed");
  });

  test("a plain server lets clients in until it is over", async () => {
    const { port, supervisor } = await servePlain({}, echoLines);
    const abort = new AbortController();
    const closing = supervisor.close({ deadlineMs: 60_000, readyDelayMs: 60_000, signal: abort.signal });
    expect(supervisor.health().status).toBe("down");
    const client = lineClient(port);
    client.say("let in");
    expect(await client.lines.next()).toBe("let in");
    expect(await isPending(closing)).toBe(true);
    abort.abort();
    await client.ended;
    await closing;
  });

  test("a signal ends it, and the links at once", async () => {
    const { port, supervisor, links } = await serve();
    const client = openTo(port);
    await client.connected();
    const link = await links.next();
    link.trySend("nobody reads");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    const abort = new AbortController();
    const closing = supervisor.close({ deadlineMs: 60_000, readyDelayMs: 60_000, signal: abort.signal });
    expect(await isPending(closing, 20)).toBe(true);
    abort.abort();
    expect(await closing).toMatchObject({ left: 1, cutOff: [{ link, reason: "unaccepted" }] });
  });
});

describe("many links", () => {
  test("are sent away one after the other, and each is told the time that is left", async () => {
    const { port, supervisor, links } = await serve({}, (link) => link.onMessage(() => {}));
    const clients = Array.from({ length: 20 }, () => openTo(port));
    await Promise.all(clients.map((client) => client.connected()));
    for (let n = 0; n < clients.length; n++) await links.next();
    const beganMs = performance.now();
    const leaving = clients.map(async (client) => {
      await turned(client, "draining");
      return performance.now() - beganMs;
    });
    const closing = supervisor.close({ deadlineMs: 1_000 });
    expect(supervisor.links.size).toBe(19);
    const times = (await Promise.all(leaving)).toSorted((a, b) => a - b);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    // In half a second, 25 ms apart: a machine that is busy may hear of several at once, but not of all.
    expect(times.at(-1)).toBeGreaterThan(400);
    expect(times.filter((atMs) => atMs < 200).length).toBeLessThan(14);
  });
});

test("a byte stream is not asked to go on elsewhere, and has all of the time to end", async () => {
  const { port, supervisor, links } = await serve({ mode: "bytes" });
  const clients = [openTo(port, { mode: "bytes" }), openTo(port, { mode: "bytes" })];
  for (const client of clients) await client.connected();
  const streams = [await links.next(), await links.next()].map((link) => link.duplex());
  const closing = supervisor.close({ deadlineMs: 1_000 });
  expect(supervisor.links.size).toBe(0);
  const [done, open] = streams as [(typeof streams)[0], (typeof streams)[0]];
  done.end("the rest");
  clients[0]?.end();
  expect(await receiveText(clients[0] as Link)).toBe("the rest");
  done.resume();
  open.on("error", () => {});
  const report = await closing;
  expect(report).toMatchObject({ left: 1, cutOff: [{ reason: "application" }] });
  expect((await (clients[1] as Link).closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "close-timeout" });
  expect((await (clients[0] as Link).closed).error).toBeUndefined();
});
