import { describe, expect, test } from "vitest";
import { Admission } from "../../src/server/admission.ts";
import { eventually, openTo, pair, QUICK, receiveText, relayTo, serve, turned } from "../support.ts";

describe("budgets a second", () => {
  const perSecond = { open: 10, resume: 100, standby: 5 };

  test("a second's worth at once, then as they come", () => {
    const admission = new Admission(perSecond);
    for (let i = 0; i < 10; i++) expect(admission.admit("open", 1_000)).toBe(0);
    expect(admission.admit("open", 1_000)).toBeGreaterThan(0);
    expect(admission.admit("open", 1_100)).toBe(0);
    expect(admission.admit("open", 1_100)).toBeGreaterThan(0);
    for (let i = 0; i < 10; i++) expect(admission.admit("open", 3_000)).toBe(0);
    expect(admission.admit("open", 3_000)).toBeGreaterThan(0);
  });

  test("each kind has its own", () => {
    const admission = new Admission(perSecond);
    for (let i = 0; i < 20; i++) admission.admit("open", 1_000);
    expect(admission.admit("resume", 1_000)).toBe(0);
    expect(admission.admit("standby", 1_000)).toBe(0);
  });

  test("a herd is told to come back spread over the time that it needs", () => {
    const admission = new Admission(perSecond);
    for (let i = 0; i < 10; i++) admission.admit("open", 1_000);
    const waits = Array.from({ length: 20 }, () => admission.admit("open", 1_000));
    expect(waits[0]).toBeGreaterThanOrEqual(100);
    expect(waits[19]).toBeGreaterThanOrEqual(2_000);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  });
});

test("opensPerSecond: above, OVERLOADED with retryAfterMs, and admitted when it comes back", async () => {
  const { port, supervisor } = await serve({ limits: { opensPerSecond: 2 } });
  const links = [openTo(port), openTo(port)];
  await Promise.all(links.map((link) => link.connected()));
  const late = openTo(port, { reconnect: { minDelayMs: 5 } });
  const refused = await turned(late, "reconnecting");
  expect(refused.error).toMatchObject({ code: "OVERLOADED", retryable: true });
  expect(refused.error?.retryAfterMs).toBeGreaterThanOrEqual(500);
  expect(refused.nextDelayMs).toBeGreaterThanOrEqual(refused.error?.retryAfterMs ?? Infinity);
  expect(supervisor.stats().refused).toMatchObject({ overloaded: 1 });
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

test("connections: above, closed as soon as accepted; a place that is free again is taken", async () => {
  const { port, supervisor } = await serve({ limits: { connections: 1 } });
  const first = openTo(port);
  await first.connected();
  const second = openTo(port, { reconnect: QUICK });
  expect((await turned(second, "reconnecting")).error?.retryable).toBe(true);
  expect(supervisor.stats().connections.open).toBe(1);
  first.abort();
  await second.connected();
  await eventually(() => expect(supervisor.stats().connections.open).toBe(1));
});
