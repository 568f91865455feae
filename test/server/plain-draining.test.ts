/** A server of clients that are not resplice goes away. */
import { describe, expect, test } from "vitest";
import type { LoginConnection, RespliceError } from "../../src/index.ts";
import { eventually, receiveText } from "../support.ts";
import { connects } from "./connects.ts";
import { echoLines, lineClient, servePlain } from "./plain-servers.ts";

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("close()", () => {
  test("lets the handler answer what has arrived, and then ends the connection", async () => {
    const handed = Promise.withResolvers<void>();
    const { port, supervisor } = await servePlain({}, async (link) => {
      for await (const message of link) {
        handed.resolve();
        await later(20);
        await link.send(`${String(message)}!`);
      }
    });
    const client = lineClient(port);
    client.say("one", "two");
    await handed.promise;
    await eventually(() => expect([...supervisor.links][0]?.readableLength).toBeGreaterThan(0));
    const closing = supervisor.close();
    expect(supervisor.state).toBe("draining");
    await eventually(() => expect(supervisor.links.size).toBe(0));
    expect([await client.lines.next(), await client.lines.next()]).toEqual(["one!", "two!"]);
    await client.ended;
    expect(await closing).toEqual({ left: 0, undelivered: [], untracked: { messages: 2, bytes: 8 } });
    expect(supervisor.state).toBe("closed");
  });

  test("so does a handler that answers what it has taken already", async () => {
    const taken = Promise.withResolvers<void>();
    const { port, supervisor } = await servePlain({}, async (link) => {
      const question = await receiveText(link);
      taken.resolve();
      await later(50);
      await link.send(`${question}!`);
    });
    const client = lineClient(port);
    client.say("one");
    await taken.promise;
    const closing = supervisor.close();
    expect(await client.lines.next()).toBe("one!");
    expect((await closing).left).toBe(0);
  });

  test("stops accepting at once, though handlers are at work", async () => {
    const { port, supervisor, links } = await servePlain({}, () => later(100));
    lineClient(port);
    await links.next();
    const closing = supervisor.close();
    await eventually(async () => expect(await connects(port)).toBe(false));
    expect(supervisor.state).toBe("draining");
    await closing;
  });

  test("a handler that goes on sending hears of the end with a fifth of the time left, and has not failed", async () => {
    const { port, supervisor } = await servePlain({}, async (link) => {
      for (;;) {
        await link.send("tick");
        await later(5);
      }
    });
    let failures = 0;
    supervisor.on("handlerError", () => failures++);
    const client = lineClient(port);
    await client.lines.next();
    const report = await supervisor.close({ deadlineMs: 300 });
    expect([report.left, report.undelivered, failures]).toEqual([0, [], 0]);
    await client.ended;
  });

  test("cuts off at the deadline what is not done, and says so", async () => {
    const { port, supervisor, links } = await servePlain();
    const client = lineClient(port);
    const link = await links.next();
    client.socket.pause();
    for (let n = 0; n < 12; n++) await link.send("x".repeat(1_000_000));
    await link.send("never written");
    const { left, undelivered } = await supervisor.close({ deadlineMs: 100 });
    expect(left).toBe(1);
    expect(undelivered.at(-1)).toMatchObject({ link, delivery: "not-sent" });
    expect((await link.closed).error?.code).toBe("CLOSE_TIMEOUT");
  });

  test("gives up those who have not logged in", async () => {
    const gone = Promise.withResolvers<RespliceError>();
    const login = ({ signal }: LoginConnection): Promise<void> =>
      new Promise(() => signal.addEventListener("abort", () => gone.resolve(signal.reason as RespliceError)));
    const { port, supervisor } = await servePlain({ plain: { login } });
    const client = lineClient(port);
    await eventually(() => expect(supervisor.stats().connections.handshaking).toBe(1));
    expect(await supervisor.close()).toEqual({ left: 0, undelivered: [] });
    expect((await gone.promise).code).toBe("CONNECTION_LOST");
    await client.ended;
    expect(supervisor.stats().rejected).toEqual({});
  });
});

test("an old connection is closed: its handler may answer first, and then is told", async () => {
  const { port, links, supervisor } = await servePlain({ plain: { maxConnectionAgeMs: 60 } }, echoLines);
  let failures = 0;
  supervisor.on("handlerError", () => failures++);
  const client = lineClient(port);
  client.say("one");
  expect(await client.lines.next()).toBe("one");
  await client.ended;
  expect((await (await links.next()).closed).error).toBeUndefined();
  expect([failures, supervisor.state]).toEqual([0, "listening"]);
});
