import { expect, test } from "vitest";
import { eventually, failure, heard, openTo, serve, turned } from "../support.ts";
import { rawSession } from "./raw-session.ts";

test("a client that acknowledges what it has not read sees no other link's messages in its place", async () => {
  const { port, links } = await serve();
  const [victim, attacker] = [openTo(port), await rawSession(port)];
  const served = { victim: await links.next(), attacker: await links.next() };
  if (served.victim.sessionId !== victim.sessionId) {
    [served.victim, served.attacker] = [served.attacker, served.victim];
  }
  let taken = 0;
  victim.onMessage(() => void taken++);
  attacker.socket.pause();
  const sending = failure(async () => {
    for (const own = Buffer.alloc(1_000, "a"); ;) await served.attacker.send(own);
  });
  const windowBytes = 32_768;
  const written = (): number => served.attacker.stats().logBytes;
  attacker.acknowledge(0, windowBytes);
  await eventually(() => expect(written()).toBe(windowBytes));
  let accepted = 0;
  // Until less of it is written than it has given credit for: its socket is full, and the rest waits in the log's blocks.
  while (written() === windowBytes) {
    accepted += windowBytes;
    attacker.acknowledge(accepted, windowBytes);
    const prefixes = 4 * Math.ceil(accepted / 1_004);
    await eventually(() => {
      expect(served.attacker.stats().accepted.bytes).toBeGreaterThanOrEqual(accepted - prefixes);
    });
  }
  const secrets = 20_000;
  for (let i = 0; i < secrets; i++) await served.victim.send("SECRET ".repeat(20));
  await eventually(() => expect(taken).toBe(secrets));
  attacker.socket.resume();
  await eventually(() => expect(attacker.bytes.length).toBeGreaterThanOrEqual(accepted + windowBytes - 1_004));
  expect(attacker.bytes.indexOf("SECRET")).toBe(-1);
  served.attacker.abort();
  expect(await sending).toMatchObject({ code: "LINK_ENDED" });
});

test("an impossible resume ends the link for its application at once, connected or not", async () => {
  const { port, links, supervisor } = await serve();
  for (const isConnected of [true, false]) {
    const client = await rawSession(port);
    const link = await links.next();
    if (!isConnected) {
      const away = turned(link, "reconnecting");
      client.socket.destroy();
      await away;
    }
    const failed = heard(link, "error");
    const again = await client.resume(999);
    expect(await failed).toMatchObject({ code: "PROTOCOL_ERROR" });
    await Promise.all([client.closed, again.closed]);
    expect((await link.closed).error).toMatchObject({ code: "PROTOCOL_ERROR" });
  }
  // Their tombstones tell the clients, which may not have read why.
  expect(supervisor.stats().sessions).toEqual({ connected: 0, waiting: 2 });
});
