import { RespliceError } from "resplice";
import { expect, test } from "vitest";
import { Redis, type RedisOptions } from "../../examples/redis.ts";
import { RedisError, type Reply } from "../../examples/support/resp.ts";
import { eventually, failure, manage, QUICK, relayTo, turned } from "../support.ts";
import { FakeRedis } from "./support/fake-redis.ts";
import { example } from "./support/program.ts";

function client(port: number, options: Partial<RedisOptions> = {}): Redis {
  return new Redis(manage(), { host: "127.0.0.1", port, reconnect: QUICK, ...options });
}

test("as a program: answers and what is published come over a path that is cut", { timeout: 30_000 }, async () => {
  const server = await FakeRedis.start();
  const relay = await relayTo(server.port);
  const program = example("redis", relay.port);
  program.write("SET greeting hello", "subscribe news", "PUBLISH news one", "LPUSH greeting x");
  await program.line(/^LPUSH greeting x: ERR unknown command/u);
  relay.cut("rst");
  await program.count(/^connected/u, 2);
  program.write("PUBLISH news two", "GET greeting");
  await program.line(/^GET greeting: 'hello'$/u);
  program.process.stdin.end();
  expect(await program.exited).toBe(0);
  expect(program.lines.filter((line) => line.startsWith("pushed"))).toEqual([
    "pushed: [ 'message', 'news', 'one' ]",
    "pushed: [ 'message', 'news', 'two' ]",
  ]);
});

test("a command has its own answer, or is known to be in doubt, through cuts and aborted calls", async () => {
  const server = await FakeRedis.start();
  const relay = await relayTo(server.port);
  const redis = client(relay.port, { queue: { maxMessages: 5_000 } });
  await redis.link.connected();
  for (const bytes of [5_000, 60_000, 150_000]) relay.cutAfterBytes(bytes);
  const outcomes = await Promise.all(
    Array.from({ length: 3_000 }, async (_, number) => {
      const stop = new AbortController();
      const answer = redis.call(["SET", `key ${number}`, `value ${number}`], { signal: stop.signal });
      if (number % 3 === 0) stop.abort();
      const set = await answer.catch((error: unknown) => (error as RespliceError).delivery);
      const got = await redis.call(["GET", `key ${number}`]).catch((error: unknown) => error);
      return { number, set, got };
    }),
  );
  for (const { number, set, got } of outcomes) {
    const value = server.values.get(`key ${number}`) ?? null;
    if (set === "OK") expect(value).toBe(`value ${number}`);
    if (!(got instanceof RespliceError)) expect(got).toBe(value);
  }
  const kinds = new Set(outcomes.map(({ set }) => set));
  expect(kinds).toEqual(new Set(["OK", "maybe"]));
  expect(server.sockets.length).toBeGreaterThan(2);
});

test.each([
  ["WRONGPASS invalid username-password pair", "HELLO"],
  ["NOAUTH HELLO must be called with the client already authenticated", "HELLO"],
  ["NOPERM this user has no permissions to run the 'ping' command", "PING"],
])("%s ends the link", async (text, name) => {
  const server = await FakeRedis.start();
  server.refusals.set(name, `-${text}\r\n`);
  const redis = client(server.port, { password: () => "wrong" });
  expect(await failure(redis.call(["GET", "key"]))).toMatchObject({ code: "LOGIN_REFUSED", message: text });
  expect((await redis.link.closed).error).toMatchObject({ code: "LOGIN_REFUSED", retryable: false });
  expect(server.ran[0]).toBe("HELLO 3 AUTH default wrong");
});

test.each([
  ["LOADING Redis is loading the dataset in memory", "PING"],
  ["ERR max number of clients reached", ""],
])("%s is tried again", async (text, name) => {
  const server = await FakeRedis.start();
  server.refusals.set(name, `-${text}\r\n`);
  const redis = client(server.port);
  const answer = redis.call(["GET", "key"]);
  const { error } = await turned(redis.link, "reconnecting");
  if (name !== "") expect(error).toMatchObject({ code: "CONNECT_FAILED", cause: { message: text } });
  await eventually(() => expect(server.sockets.length).toBeGreaterThan(2));
  server.refusals.clear();
  expect(await answer).toBe(null);
});

test("after READONLY it dials again: the name may lead to the new primary by then", async () => {
  const server = await FakeRedis.start();
  server.refusals.set("SET", "-READONLY You can't write against a read only replica.\r\n");
  const redis = client(server.port);
  await redis.link.connected();
  const lost = turned(redis.link, "reconnecting");
  await expect(redis.call(["SET", "key", "value"])).rejects.toMatchObject({ code: "READONLY" });
  expect((await lost).reason).toBe("reconnect-when");
  server.refusals.clear();
  expect(await redis.call(["SET", "key", "value"])).toBe("OK");
  expect(server.sockets).toHaveLength(2);
});

test("channels are subscribed again before anything else is sent", async () => {
  const server = await FakeRedis.start();
  const pushes: Reply[] = [];
  const redis = client(server.port, { onPush: (push) => void pushes.push(push) });
  await redis.subscribe("news");
  await redis.subscribe("weather");
  server.ran.length = 0;
  server.sockets[0]?.resetAndDestroy();
  await redis.call(["PUBLISH", "weather", "fine"]).catch(() => redis.call(["PUBLISH", "weather", "fine"]));
  expect(server.ran.slice(0, 4)).toEqual(["HELLO 3", "PING", "SUBSCRIBE news", "SUBSCRIBE weather"]);
  await eventually(() => expect(pushes).toEqual([["message", "weather", "fine"]]));
});

test("a channel that may not be subscribed, and an error amid a transaction's answer", async () => {
  const server = await FakeRedis.start();
  server.refusals.set("SUBSCRIBE", "-NOPERM no access to the channel\r\n");
  server.refusals.set("EXEC", "*2\r\n+OK\r\n-WRONGTYPE no\r\n");
  const redis = client(server.port);
  await expect(redis.subscribe("secrets")).rejects.toMatchObject({ code: "NOPERM" });
  expect(await redis.call(["EXEC"])).toEqual(["OK", new RedisError("WRONGTYPE no")]);
});

test("a server that has gone silent is noticed by PING", async () => {
  const server = await FakeRedis.start();
  const relay = await relayTo(server.port);
  const redis = client(relay.port, { keepalive: { pingAfterMs: 50, deadAfterMs: 100 } });
  await redis.call(["GET", "key"]);
  await eventually(() => expect(server.ran).toEqual(["HELLO 3", "PING", "GET key", "PING"]));
  relay.blackHole();
  expect((await turned(redis.link, "reconnecting")).reason).toBe("probe-unanswered");
  relay.heal();
  expect(await redis.call(["GET", "key"])).toBe(null);
});
