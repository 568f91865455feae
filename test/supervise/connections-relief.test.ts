/** What is done against overload, on real sockets, with time that passes when it is told to. */
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { OVERLOAD_ACTIONS, type OverloadAction } from "../../src/core/overload/actions.ts";
import { type ActTerms, NOTHING } from "../../src/server/overload/relief.ts";
import { NOT_SUPERVISED } from "../../src/supervise/options.ts";
import { Arrivals, eventually } from "../support.ts";
import { choosing, GET, greeter, httpClient, idleClient, textOf, watchedServer } from "./servers.ts";

function terms(given: Partial<ActTerms> = {}): ActTerms {
  return {
    resource: "heap",
    sheds: "biggest",
    mostShed: 100,
    bytes: Infinity,
    connections: Infinity,
    dryRun: false,
    ...given,
  };
}

const DRY = terms({ dryRun: true });

function netServer(): { server: net.Server; sockets: Arrivals<net.Socket> } {
  const sockets = new Arrivals<net.Socket>();
  const server = net.createServer((socket) => sockets.put(socket.on("error", () => {})));
  return { server, sockets };
}

test("actions that it does not have are idle for ever, and are no options; the others are in an empty server", async () => {
  const { relief } = await watchedServer(net.createServer());
  const actions = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];
  expect(actions.filter((action) => !relief.isIdle(action))).toEqual(["refuse-sessions"]);
  const isMissing = (action: OverloadAction): boolean => NOT_SUPERVISED[action] !== undefined;
  for (const action of actions.filter((each) => !isMissing(each) && OVERLOAD_ACTIONS[each] === "act")) {
    expect(relief.carryOut(action, terms())).toEqual(NOTHING);
  }
  for (const action of actions.filter(isMissing)) {
    if (OVERLOAD_ACTIONS[action] === "act") expect(() => relief.carryOut(action, terms())).toThrow(/is no act/u);
    else expect(() => relief.enforce(action, "lag")).toThrow(/is no condition/u);
  }
});

test("refuse-sessions: new connections are told when to come back, for the reason; at most a hundred linger", async () => {
  const { connections, relief, refusals, port } = await watchedServer(await greeter("http"));
  const known = await idleClient(port);
  relief.enforce("refuse-sessions", "overloaded: heap");
  const clients = await Promise.all(Array.from({ length: 110 }, () => httpClient(port, { allowHalfOpen: true })));
  await eventually(() => expect(connections.arrived).toBe(111));
  expect(connections.counts()).toMatchObject({ open: 1, lingering: 100 });
  await eventually(() => expect(clients.filter(({ text }) => /503[^]*Retry-After: \d/u.test(text)).length).toBe(100));
  expect(refusals.counts()).toMatchObject({ refusedFor: { "overloaded: heap": 110 }, turnedAway: {} });
  // Who is in goes on.
  known.socket.write(GET);
  await known.until(/hello[^]*hello/u);
  expect(relief.isIdle("drop-lingering")).toBe(false);
  expect(relief.carryOut("drop-lingering", DRY)).toEqual({ ...NOTHING, connections: 100 });
  expect(connections.counts().lingering).toBe(100);
  expect(relief.carryOut("drop-lingering", terms()).connections).toBe(100);
  await eventually(() => expect(connections.counts().lingering).toBe(0));
  relief.enforce("refuse-sessions", "");
  await idleClient(port);
});

test("bytes that wait to be written are counted, and a peer that takes none of them for long is hopeless", async () => {
  const { server, sockets } = netServer();
  const { connections, relief, clock, refusals, port } = await watchedServer(server);
  const stalled = await httpClient(port);
  const stalledAtServer = await sockets.next();
  stalled.socket.pause();
  const slow = await httpClient(port);
  const slowAtServer = await sockets.next();
  slow.socket.pause();
  const bytes = 8_000_000;
  for (const socket of [stalledAtServer, slowAtServer]) socket.write(Buffer.alloc(bytes));
  // Until the kernel has taken as much as it takes at once.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(connections.bufferBytes).toBe(2 * bytes);
  clock.pass(10_000);
  expect(relief.isIdle("close-hopeless")).toBe(true);
  // One write is under way still; a part of it goes on.
  const queued = (): number =>
    (slowAtServer as unknown as { _handle: { writeQueueSize: number } })._handle.writeQueueSize;
  const before = queued();
  let read = 0;
  slow.socket.on("data", (chunk: Buffer) => {
    read += chunk.length;
    if (read > 2_000_000) slow.socket.pause();
  });
  slow.socket.resume();
  await eventually(() => expect(queued()).toBeLessThan(before));
  clock.pass(6_100);
  expect(relief.isIdle("close-hopeless")).toBe(false);
  const released = { ...NOTHING, victims: ["127.0.0.1"], connections: 1, bytes, sharedBytes: bytes };
  expect(relief.carryOut("close-hopeless", DRY)).toEqual(released);
  expect([connections.open.size, refusals.counts().rejected]).toEqual([2, {}]);
  expect(relief.carryOut("close-hopeless", terms())).toEqual(released);
  await eventually(() => expect([stalledAtServer.destroyed, slowAtServer.destroyed]).toEqual([true, false]));
  expect(refusals.counts().rejected).toEqual({ "write-stalled": 1 });
});

test("drop-handshakes: those that had two seconds, the oldest first, ten at once", async () => {
  const { connections, relief, clock, refusals, port } = await watchedServer(await greeter("http"));
  const oldest = await httpClient(port);
  await eventually(() => expect(connections.arrived).toBe(1));
  clock.pass(10);
  const silent = await Promise.all(Array.from({ length: 10 }, () => httpClient(port)));
  await eventually(() => expect(connections.arrived).toBe(11));
  clock.pass(1_900);
  expect(relief.isIdle("drop-handshakes")).toBe(true);
  clock.pass(100);
  const young = await httpClient(port);
  await eventually(() => expect(connections.counts()).toMatchObject({ handshaking: 12 }));
  expect(relief.carryOut("drop-handshakes", DRY)).toMatchObject({ connections: 10 });
  expect(connections.open.size).toBe(12);
  expect(relief.carryOut("drop-handshakes", terms()).connections).toBe(10);
  await oldest.closed;
  expect([connections.open.size, connections.counts().handshaking]).toEqual([2, 2]);
  relief.carryOut("drop-handshakes", terms());
  await Promise.all(silent.map(({ closed }) => closed));
  expect(young.socket.destroyed).toBe(false);
  expect(refusals.counts().refusedFor).toEqual({ overloaded: 11 });
});

test("close-idle: as many as are too many, the longest idle first; a twentieth or ten where that is not known", async () => {
  const { connections, relief, clock, refusals, port } = await watchedServer(await greeter("http"));
  const oldest = await idleClient(port);
  clock.pass(10);
  for (let n = 0; n < 13; n++) await idleClient(port);
  await eventually(() => expect(connections.counts().idle).toBe(14));
  expect(relief.isIdle("close-idle")).toBe(true);
  clock.pass(2_000);
  expect(relief.isIdle("close-idle")).toBe(false);
  expect(relief.carryOut("close-idle", { ...DRY, connections: 3 })).toMatchObject({ connections: 3 });
  expect(connections.open.size).toBe(14);
  // However few may be shed.
  expect(relief.carryOut("close-idle", terms({ connections: 3, mostShed: 0 }))).toEqual({
    ...NOTHING,
    victims: ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    connections: 3,
  });
  await oldest.closed;
  expect(relief.carryOut("close-idle", terms()).connections).toBe(10);
  expect([connections.open.size, refusals.counts().shed]).toEqual([1, { heap: 13 }]);
});

test("shed: idle connections first, the longest idle before; then requests, which are answered", async () => {
  const { server, later } = choosing();
  const { connections, relief, clock, refusals, port } = await watchedServer(server);
  const idle = await idleClient(port);
  clock.pass(10);
  const younger = await idleClient(port);
  const busy = await httpClient(port);
  busy.socket.write(GET.replace("/", "/later"));
  const answer = await later.next();
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 2, requests: 1 }));
  // A request may be on its way to them.
  expect(relief.carryOut("shed", DRY)).toMatchObject({ victims: ["127.0.0.1"], connections: 0 });
  clock.pass(2_000);
  expect(relief.carryOut("shed", { ...DRY, mostShed: 2 })).toMatchObject({ connections: 2 });
  expect([connections.open.size, refusals.counts().shed]).toEqual([3, {}]);
  relief.carryOut("shed", terms({ mostShed: 1, resource: "lag" }));
  await idle.closed;
  expect(younger.socket.destroyed).toBe(false);
  expect(relief.carryOut("shed", terms())).toEqual({
    ...NOTHING,
    victims: ["127.0.0.1", "127.0.0.1"],
    connections: 1,
  });
  await younger.closed;
  expect(relief.isIdle("shed")).toBe(true);
  expect(relief.carryOut("shed", terms()).victims).toEqual([]);
  answer.end("last words");
  await busy.closed;
  expect(busy.text).toMatch(/connection: close[^]*last words/iu);
  expect(refusals.counts().shed).toEqual({ lag: 1, heap: 2 });
});

test("shed: of requests those with most to write are asked first", async () => {
  const { server, later } = choosing();
  const { connections, relief, port } = await watchedServer(server);
  const ask = async (): Promise<[Awaited<ReturnType<typeof httpClient>>, (text: string) => void]> => {
    const client = await httpClient(port);
    client.socket.write(GET.replace("/", "/later"));
    const answer = await later.next();
    return [client, (text) => void answer.end(text)];
  };
  const [small, answerSmall] = await ask();
  const full = await httpClient(port);
  full.socket.pause();
  full.socket.write(GET.replace("/", "/later"));
  const fullAnswer = await later.next();
  fullAnswer.write(Buffer.alloc(8_000_000));
  relief.carryOut("shed", terms({ mostShed: 1 }));
  expect(Array.from(connections.open, ({ isLeaving }) => isLeaving)).toEqual([false, true]);
  answerSmall("hello");
  await small.until(/keep-alive[^]*hello/iu);
});

test("shed: not a connection on which a part of the next request has come", async () => {
  const { connections, relief, clock, port } = await watchedServer(await greeter("http"));
  const client = await idleClient(port);
  await eventually(() => expect(connections.counts().idle).toBe(1));
  client.socket.write("GET / HT");
  await eventually(() => expect(Array.from(connections.open, ({ hasBegun }) => hasBegun)).toEqual([true]));
  clock.pass(2_000);
  expect(relief.isIdle("shed")).toBe(true);
  client.socket.write("TP/1.1\r\nHost: test\r\n\r\n");
  await client.until(/hello[^]*hello/u);
  await eventually(() => expect(connections.counts().idle).toBe(1));
  clock.pass(2_000);
  expect(relief.carryOut("shed", terms())).toMatchObject({ connections: 1 });
  await client.closed;
});

test("shed: an HTTP/2 session without a stream is asked to leave", async () => {
  const { connections, relief, clock, port } = await watchedServer(await greeter("http2"));
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  expect(await textOf(session.request())).toBe("hello");
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 1, requests: 0 }));
  const goaway = once(session, "goaway");
  const closed = once(session, "close");
  expect(relief.carryOut("shed", terms())).toEqual({ ...NOTHING, victims: ["127.0.0.1"] });
  expect((await goaway)[0]).toBe(0);
  expect(relief.isIdle("shed")).toBe(true);
  clock.pass(1_000);
  await closed;
});

test("shed: never a connection whose protocol only the application knows", async () => {
  const { server, sockets } = netServer();
  const { connections, relief, clock, port } = await watchedServer(server);
  const client = await httpClient(port);
  client.socket.pause();
  // More than the kernel takes: it has buffers of some megabytes at either end.
  (await sockets.next()).write(Buffer.alloc(40_000_000));
  clock.pass(60_000);
  expect([connections.open.size, relief.isIdle("shed")]).toEqual([1, true]);
  expect(relief.carryOut("shed", terms())).toEqual(NOTHING);
});
