/** A link whose session the server no longer has. */
import { describe, expect, test } from "vitest";
import type { Undelivered } from "../../src/index.ts";
import { eventually, failure, heard, manage, pair, QUICK, receiveText, relayTo, serve, turned } from "../support.ts";
import { texts } from "./records.ts";

describe("a session that is lost", () => {
  /** A client whose server is replaced by one that knows nothing, with messages accepted, written and queued. */
  async function restarted(whenSessionLost?: "report" | "resend" | "end") {
    const first = await serve();
    const relay = await relayTo(first.port);
    const options = whenSessionLost === undefined ? {} : { whenSessionLost };
    const client = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK, ...options });
    await client.send("accepted");
    const server = await first.links.next();
    await server.receive();
    await client.flush();
    client.trySend("written");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.trySend("queued");
    await first.supervisor.close({ deadlineMs: 0 });
    const second = await serve({ port: first.port });
    const events: Undelivered[] = [];
    return { client, relay, links: second.links, events, before: client.sessionId };
  }

  test("report: what was written comes back, what was not goes on", async () => {
    const { client, relay, links, events, before } = await restarted();
    client.on("undelivered", (event) => events.push(event));
    relay.heal();
    expect(await turned(client, "connected")).toMatchObject({ session: "new", reason: "session-lost" });
    expect(await receiveText(await links.next())).toBe("queued");
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ reason: "session-lost", sessionId: before });
    expect(texts(events[0]?.messages ?? [])).toEqual(["written maybe"]);
    expect(events[0]?.messages[0]?.position).toBe(12 + 11);
    expect(client.sessionId).not.toBe(before);
    expect(client.stats().undelivered["session-lost"]).toBe(1);
    expect(await client.close()).toEqual({ undelivered: [] });
  });

  test("report: nobody listens, so close() returns it", async () => {
    const { client, relay, links } = await restarted();
    relay.heal();
    expect(await receiveText(await links.next())).toBe("queued");
    const { error, undelivered } = await client.close();
    expect(error).toBeUndefined();
    expect(texts(undelivered)).toEqual(["written maybe"]);
  });

  test("report: a send that waits until accepted rejects, and is not reported; flush() rejects too", async () => {
    const { client, server, relay, supervisor, port } = await pair();
    const sent = failure(client.send("waited for", { until: "accepted" }));
    const flushed = failure(client.flush());
    client.trySend("not waited for");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(30));
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    const queued = client.send("goes on", { until: "accepted" });
    await supervisor.close({ deadlineMs: 0 });
    const { links } = await serve({ port });
    const undelivered = heard(client, "undelivered");
    relay.heal();
    expect(await sent).toMatchObject({ code: "SESSION_LOST", delivery: "maybe" });
    expect(await flushed).toMatchObject({ code: "SESSION_LOST" });
    expect(texts((await undelivered).messages)).toEqual(["not waited for maybe"]);
    const next = await links.next();
    expect(await receiveText(next)).toBe("goes on");
    await queued;
  });

  test("resend: everything is sent again, before anything newer", async () => {
    const { client, relay, links, events } = await restarted("resend");
    client.on("undelivered", (event) => events.push(event));
    relay.heal();
    const server = await links.next();
    await client.send("newer");
    expect(await receiveText(server)).toBe("written");
    expect(await receiveText(server)).toBe("queued");
    expect(await receiveText(server)).toBe("newer");
    expect(events).toEqual([]);
  });

  test("end: the link ends with SESSION_LOST and says what it has", async () => {
    const { client, relay } = await restarted("end");
    relay.heal();
    const { error, undelivered } = await client.closed;
    expect(error).toMatchObject({ code: "SESSION_LOST" });
    expect(texts(undelivered)).toEqual(["written maybe", "queued not-sent"]);
  });

  test("end: also when nothing was in flight", async () => {
    const { client, relay, supervisor, port } = await pair({ whenSessionLost: "end" });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    await supervisor.close({ deadlineMs: 0 });
    await serve({ port });
    relay.heal();
    expect((await client.closed).error).toMatchObject({ code: "SESSION_LOST" });
  });

  test('mode "bytes" always ends', async () => {
    const { client, relay, supervisor, port } = await pair({ mode: "bytes" }, { mode: "bytes" });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    await supervisor.close({ deadlineMs: 0 });
    await serve({ port, mode: "bytes" });
    relay.heal();
    expect((await client.closed).error).toMatchObject({ code: "SESSION_LOST" });
  });

  test("expires at the server, and at the client that could not come back", async () => {
    const { client, server, relay } = await pair({}, { resumeForMs: 150 });
    server.trySend("for nobody");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    client.trySend("in doubt");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    const undelivered = heard(client, "undelivered");
    const before = client.sessionId;
    relay.refuse();
    relay.cut("rst");
    const { error, undelivered: theirs } = await server.closed;
    expect(error).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(texts(theirs)).toEqual(["for nobody maybe"]);
    expect(texts((await undelivered).messages)).toEqual(["in doubt maybe"]);
    relay.heal();
    const connected = await turned(client, "connected");
    expect(connected.session).toBe("new");
    expect(client.sessionId).not.toBe(before);
  });
});
