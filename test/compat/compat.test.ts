/** A client of one version and a server of another, over real sockets: each published version with the code in the tree. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import * as tree from "../../src/index.ts";
import type { FaultRelay } from "../../src/testing/index.ts";
import { balance } from "../balancer.ts";
import { Flow } from "../flow.ts";
import { setUpOnSockets, shedAll } from "../server/served-sessions.ts";
import {
  echo as echoing,
  eventually,
  heard,
  manage,
  QUICK,
  receiveText,
  relayTo,
  serve,
  turned,
  WATCHFUL,
} from "../support.ts";
import { publishedVersions } from "./versions.ts";

const host = "127.0.0.1";
/** Where connections are cut, each one's bytes counted anew: in the handshakes, in frames, between them. */
const CUT_AFTER = [0, 1, 20, 50, 90, 110, 130, 150, 200, 1_000, 10_000, 70_000, 150_000];
const DIRECTIONS = ["to-server", "to-client"] as const;

const published = await publishedVersions();

test("there are versions to speak with", () => {
  expect([...published.keys()]).toContain("0.1.0");
});

const pairings = [...published].flatMap(([name, version]) => [
  { client: name, server: "the tree", clientOf: version, serverOf: tree },
  { client: "the tree", server: name, clientOf: tree, serverOf: version },
]);

describe.each(pairings)("client of $client, server of $server", ({ clientOf, serverOf }) => {
  const served = (
    options?: Partial<tree.ServerSupervisorOptions>,
    handler?: (link: tree.Link) => void | Promise<void>,
  ): ReturnType<typeof serve> => serve(options, handler, serverOf.ServerSupervisor);
  const opened = (options: tree.Target & tree.OpenOptions): tree.Link =>
    manage({}, clientOf.ConnectionManager).open({ reconnect: QUICK, ...options });

  test("messages both ways through cuts: once and in order, one session", async () => {
    const sizeOf = (number: number): number => [4, 100, 4_000, 70_000][number % 4] as number;
    const [toServer, toClient] = [new Flow(sizeOf), new Flow(sizeOf)];
    const limits = { maxMessageBytes: 100_000, queue: { maxBytes: 300_000 } };
    const { port, links } = await served(limits);
    const relay = await relayTo(port);
    relay.cutAfterBytes(60, { direction: "to-server" });
    const client = opened({ host, port: relay.port, ...limits });
    client.onMessage((message) => toClient.take(message));
    await turned(client, "reconnecting");
    const server = await links.next();
    server.onMessage((message) => toServer.take(message));

    const enough = new AbortController();
    const sending = [toServer.sendUntil(client, enough.signal), toClient.sendUntil(server, enough.signal)];
    await cutEverywhere(client, relay);
    enough.abort();
    await Promise.all(sending);
    await Promise.all([toServer.whole, toClient.whole, client.flush(), server.flush()]);
    expect(await client.close()).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
    expect([toServer.received, toClient.received]).toEqual([toServer.sent, toClient.sent]);
    expect([links.size, relay.connections > CUT_AFTER.length]).toEqual([0, true]);
  });

  test("bytes both ways through cuts: the same bytes, and both ends end", async () => {
    const { port, links } = await served({ mode: "bytes", allowHalfOpen: true });
    const relay = await relayTo(port);
    const client = opened({ host, port: relay.port, mode: "bytes", allowHalfOpen: true });
    const near = client.duplex();
    await client.connected();
    const server = await links.next();
    const far = server.duplex();
    const enough = new AbortController();
    const [up, down] = [new Bytes(), new Bytes()];
    await Promise.all([
      up.readFrom(far),
      down.readFrom(near),
      pipeline(Readable.from(up.until(enough.signal)), near),
      pipeline(Readable.from(down.until(enough.signal)), far),
      cutEverywhere(client, relay).then(() => enough.abort()),
    ]);
    expect([up.received, down.received]).toEqual([up.sent, down.sent]);
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
    expect(links.size).toBe(0);
  });

  test("a dead connection: a standby takes over", async () => {
    const { port, links } = await served();
    const relay = await relayTo(port);
    const client = opened({ host, port: relay.port, keepalive: WATCHFUL });
    await client.connected();
    const server = await links.next();
    const accepted = client.send("before", { until: "accepted" });
    expect(await receiveText(server)).toBe("before");
    await accepted;
    const back = turned(client, "connected");
    relay.blackHole();
    relay.heal();
    client.trySend("meanwhile");
    expect(await back).toMatchObject({ from: "suspect", session: "resumed" });
    expect(await receiveText(server)).toBe("meanwhile");
    server.trySend("and back");
    expect(await receiveText(client)).toBe("and back");
  });

  test.each(["client", "server"] as const)("an orderly close by the %s: what was sent is accepted", async (who) => {
    const { port, links } = await served();
    const client = opened({ host, port });
    await client.connected();
    const server = await links.next();
    const [closing, other] = who === "client" ? [client, server] : [server, client];
    closing.trySend("last words");
    const report = closing.close();
    expect(await receiveText(other)).toBe("last words");
    expect(await other.receive()).toBeNull();
    expect(await other.close()).toEqual({ undelivered: [] });
    expect(await report).toEqual({ undelivered: [] });
  });

  test.each(["client", "server"] as const)("an abort by the %s: the other hears its code", async (who) => {
    const { port, links } = await served();
    const client = opened({ host, port });
    await client.connected();
    const server = await links.next();
    const [aborting, other] = who === "client" ? [client, server] : [server, client];
    aborting.abort("enough");
    expect((await other.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "enough" });
  });

  test("a server that goes away, and a cut meanwhile: the client moves to the next, nothing is in doubt", async () => {
    const [toServer, toClient] = [new Flow(() => 100), new Flow(() => 100)];
    const echo = (link: tree.Link): void =>
      link.onMessage(async (message) => {
        toServer.take(message);
        await link.send(message);
      });
    const [a, b] = [await served({}, echo), await served({}, echo)];
    const relay = await relayTo(a.port);
    const client = opened({ endpoints: [relay, b].map(({ port }) => ({ host, port })) });
    const undelivered: unknown[] = [];
    client.on("undelivered", (event) => undelivered.push(event));
    // The server cannot go before this has been accepted.
    let accept = (): void => {};
    const accepting = new Promise<void>((resolve) => {
      accept = resolve;
    });
    client.onMessage(async (message) => {
      toClient.take(message);
      toClient.sent++;
      await accepting;
    });
    const enough = new AbortController();
    const sending = toServer.sendUntil(client, enough.signal);
    await toClient.reached(1);

    const closing = a.supervisor.close();
    await turned(client, "draining");
    relay.cut("rst");
    await eventually(() => expect(relay.connections).toBe(2));
    const moved = turned(client, "connected");
    accept();
    expect(await moved).toMatchObject({ session: "new", reason: "moved" });
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    const before = toServer.received;
    await toServer.reached(before + 100);
    enough.abort();
    await sending;
    await toClient.reached(toServer.sent);
    expect(await client.close()).toEqual({ undelivered: [] });
    expect(undelivered).toEqual([]);
    expect([toServer.received, toClient.received]).toEqual([toServer.sent, toServer.sent]);
    expect([a.links.size, b.links.size]).toEqual([1, 1]);
  });

  test("a server that has lost the session: the client goes on in a new one", async () => {
    const [a, b] = [await served(), await served()];
    const relay = await relayTo(a.port);
    const client = opened({ endpoints: [relay, b].map(({ port }) => ({ host, port })) });
    const accepted = client.send("to the first", { until: "accepted" });
    expect(await receiveText(await a.links.next())).toBe("to the first");
    await accepted;
    relay.refuse();
    relay.cut("rst");
    expect(await turned(client, "connected")).toMatchObject({ session: "new", reason: "session-lost" });
    client.trySend("to the second");
    expect(await receiveText(await b.links.next())).toBe("to the second");
  });

  test("credentials: let in with the right ones, refused with the wrong ones", async () => {
    const { port, links } = await served({
      authenticate: ({ credentials }) => (String(credentials) === "let me in" ? "a client" : null),
    });
    await opened({ host, port, credentials: "let me in" }).connected();
    expect((await links.next()).identity).toBe("a client");
    const stranger = opened({ host, port, credentials: "me too" });
    expect(await heard(stranger, "error")).toMatchObject({ code: "AUTHENTICATION_REFUSED" });
    expect(links.size).toBe(0);
  });
});

test.each([...published])(
  "client of %s, server of the tree: a client that does not know the word is refused until its time, and loses nothing",
  async (_, { ConnectionManager }) => {
    const { port, sessions, links } = await setUpOnSockets();
    const client = manage({}, ConnectionManager).open({ host, port });
    await client.connected();
    client.trySend("before");
    await eventually(() => expect(links).toHaveLength(1));
    const [server] = links as [tree.Link];
    expect(await receiveText(server)).toBe("before");
    const changes: tree.StateChange[] = [];
    client.on("state", (change) => void changes.push(change));
    const shedMs = performance.now();
    expect(shedAll(sessions, 400)).toEqual([true]);
    await turned(client, "reconnecting");
    client.trySend("meanwhile");
    server.trySend("there, too");
    await turned(client, "connected");
    expect(performance.now() - shedMs).toBeGreaterThanOrEqual(400);
    expect(changes.at(-1)).toMatchObject({ session: "resumed" });
    const refused = changes.filter((change) => change.to === "reconnecting" && change.error?.code === "OVERLOADED");
    expect(refused).toHaveLength(1);
    expect([await receiveText(server), await receiveText(client)]).toEqual(["meanwhile", "there, too"]);
    expect(sessions.stats()).toMatchObject({ refused: { overloaded: 1 }, shed: { memory: 1 }, turnedAway: {} });
  },
);

/** A cut at each place, first of what the client says, then of what it hears. */
async function cutEverywhere(client: tree.Link, relay: FaultRelay): Promise<void> {
  for (const direction of DIRECTIONS) {
    for (const bytes of CUT_AFTER) {
      const lost = turned(client, "reconnecting");
      relay.cutAfterBytes(bytes, { direction });
      await lost;
    }
  }
}

/** One direction of a byte stream: each byte is known by its position. */
class Bytes {
  sent = 0;
  received = 0;

  *until(signal: AbortSignal): Generator<Buffer> {
    while (!signal.aborted) {
      const piece = bytesAt(this.sent, 50_003);
      this.sent += piece.length;
      yield piece;
    }
  }

  async readFrom(stream: Readable): Promise<void> {
    stream.on("data", (chunk: Buffer) => {
      if (!chunk.equals(bytesAt(this.received, chunk.length))) {
        stream.destroy(new Error(`not the bytes from ${this.received} to ${this.received + chunk.length}`));
      }
      this.received += chunk.length;
    });
    await once(stream, "end");
  }
}

/** A prime: what is lost or doubled has not the length of it. */
const PERIOD = 1_000_003;
const TWICE = Buffer.alloc(2 * PERIOD, createHash("shake256", { outputLength: PERIOD }).update("bytes").digest());

function bytesAt(position: number, length: number): Buffer {
  const start = position % PERIOD;
  return TWICE.subarray(start, start + length);
}

test.each([...published])("a client of %s goes on in its session behind servers that forward", async (_, version) => {
  const dir = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const [first, second] = [await serve({ forward: { dir } }, echoing), await serve({ forward: { dir } }, echoing)];
  const balancer = await balance([first.port]);
  onTestFinished(() => balancer.close());
  const client = manage({}, version.ConnectionManager).open({ reconnect: QUICK, host, port: balancer.port });
  await client.connected();
  const { sessionId } = client;
  balancer.route([second.port]);
  balancer.cut();
  await client.send("by way of the other");
  expect([await receiveText(client), client.sessionId]).toEqual(["by way of the other", sessionId]);
  expect(second.supervisor.stats().forwarded).toBe(1);
});
