import { expect, test } from "vitest";
import { FRAME_HEADER_BYTES } from "../../src/core/wire/frames.ts";
import {
  acquaint,
  eventually,
  openTo,
  pair,
  QUICK,
  rawClient,
  receiveText,
  relayTo,
  serve,
  turned,
  WATCHFUL,
} from "../support.ts";

test("opensPerSecond: above, OVERLOADED with retryAfterMs, and admitted when it comes back", async () => {
  const { port, supervisor } = await serve({ limits: { opensPerSecond: 2 } });
  const links = [openTo(port), openTo(port)];
  await Promise.all(links.map((link) => link.connected()));
  const late = openTo(port, { reconnect: { minDelayMs: 5 } });
  const refused = await turned(late, "reconnecting");
  expect(refused.error).toMatchObject({ code: "OVERLOADED", retryable: true });
  expect(refused.error?.retryAfterMs).toBeGreaterThanOrEqual(500);
  expect(refused.nextDelayMs).toBeGreaterThanOrEqual(refused.error?.retryAfterMs ?? Infinity);
  expect(supervisor.stats()).toMatchObject({ refused: { overloaded: 1 }, turnedAway: { opensPerSecond: 1 } });
  expect(supervisor.health()).toEqual({
    status: "degraded",
    reasons: ["limits.opensPerSecond turns clients away: 1 so far"],
  });
  await late.connected();
});

test("resumes have room of their own while opens are refused", async () => {
  const { client, server, relay, port } = await pair({}, { limits: { opensPerSecond: 1 } });
  const refused = openTo(port);
  expect((await turned(refused, "reconnecting")).error?.code).toBe("OVERLOADED");
  relay.cut("rst");
  expect(await turned(client, "connected")).toMatchObject({ session: "resumed" });
  await client.send("one");
  expect(await receiveText(server)).toBe("one");
});

test("resumesPerSecond: a resume that is refused is tried again, and the session waits for it", async () => {
  const { client, server, relay } = await pair({}, { limits: { resumesPerSecond: 1 } });
  relay.cut("rst");
  await turned(client, "connected");
  relay.cut("rst");
  await turned(client, "reconnecting");
  expect((await turned(client, "reconnecting")).error).toMatchObject({ code: "OVERLOADED" });
  expect(await turned(client, "connected")).toMatchObject({ session: "resumed" });
  await client.send("one");
  expect(await receiveText(server)).toBe("one");
});

test("sessions: no more than so many, those that wait for their client included", async () => {
  const { port, links } = await serve({ limits: { sessions: 1 } });
  const relay = await relayTo(port);
  const first = openTo(relay.port);
  await first.send("one");
  await (await links.next()).receive();
  relay.refuse();
  relay.cut("rst");
  await turned(first, "reconnecting");
  const second = openTo(port);
  expect((await turned(second, "reconnecting")).error).toMatchObject({ code: "OVERLOADED" });
  relay.heal();
  await first.close();
  await second.connected();
});

test("sessionsPerIdentity", async () => {
  const { port } = await serve({
    limits: { sessionsPerIdentity: 1 },
    authenticate: ({ credentials }) => String(credentials),
  });
  await openTo(port, { credentials: "a" }).connected();
  await openTo(port, { credentials: "b" }).connected();
  const second = openTo(port, { credentials: "a" });
  expect((await turned(second, "reconnecting")).error).toMatchObject({ code: "OVERLOADED" });
});

test("connections: above, an open is refused and told why; a place that is free again is taken", async () => {
  const { port, supervisor } = await serve({ limits: { connections: 1 } });
  const first = openTo(port);
  await first.connected();
  const second = openTo(port, { reconnect: QUICK });
  expect((await turned(second, "reconnecting")).error).toMatchObject({ code: "OVERLOADED", retryable: true });
  // What is about to be closed does not count.
  expect(supervisor.stats()).toMatchObject({ connections: { open: 1 }, turnedAway: { connections: 1 } });
  first.abort();
  await second.connected();
  await eventually(() => expect(supervisor.stats().connections.open).toBe(1));
});

test("connections: those that say nothing give way to whoever says who it is", async () => {
  const { port, supervisor } = await serve({ limits: { connections: 20 } });
  const silent = await Promise.all(Array.from({ length: 40 }, () => rawClient(port)));
  // Half of the connections are for those that have introduced themselves.
  await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 10, handshaking: 10 }));
  const links = Array.from({ length: 15 }, () => openTo(port));
  await Promise.all(links.map((link) => link.connected()));
  expect(supervisor.stats().connections.open).toBeLessThanOrEqual(22);
  // Each of them has heard when to come back.
  await eventually(() => expect(silent.filter(({ bytes }) => bytes.length > 0).length).toBeGreaterThan(29));
  const told = silent.find(({ bytes }) => bytes.length > 0);
  expect(told?.bytes).toHaveLength(FRAME_HEADER_BYTES + 8);
  expect(told?.bytes.readUInt32BE(FRAME_HEADER_BYTES + 4)).toBeGreaterThanOrEqual(250);
});

test("connections: a client that was cut comes back, though a newcomer has its place", async () => {
  const { port } = await serve({ limits: { connections: 1 } });
  const relay = await relayTo(port);
  const first = openTo(relay.port);
  await first.connected();
  relay.refuse();
  relay.cut("rst");
  await turned(first, "reconnecting");
  const second = openTo(port);
  await second.connected();
  relay.heal();
  expect(await turned(first, "connected")).toMatchObject({ session: "resumed" });
  expect(second.state).toBe("connected");
});

test("connections: a client whose connection is dead, which the server does not know, takes its own place", async () => {
  const both = await pair({ keepalive: WATCHFUL }, { limits: { connections: 1 } });
  const { client, server, relay } = both;
  await acquaint(both);
  const back = turned(client, "connected");
  relay.blackHole();
  relay.heal();
  expect(await back).toMatchObject({ reason: "standby" });
  await client.send("here");
  expect(await receiveText(server)).toBe("here");
});

test("what lingers is bounded: above, it is told and closed at once", async () => {
  const { port, supervisor } = await serve({ limits: { connections: 1 } });
  await openTo(port).connected();
  const clients = await Promise.all(Array.from({ length: 200 }, () => rawClient(port)));
  for (const { socket } of clients) socket.on("end", () => socket.pause());
  await Promise.all(clients.slice(0, 100).map(({ closed }) => closed));
  expect(supervisor.stats().connections.open).toBeLessThanOrEqual(3);
  await eventually(() => {
    expect(supervisor.stats().turnedAway["connections"]).toBeGreaterThanOrEqual(198);
  });
});
