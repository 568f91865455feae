/** examples/redis.ts, as it stands there, and a Redis that is killed, stopped, full, and loading. */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis, type RedisOptions } from "../../examples/redis.ts";
import type { Reply } from "../../examples/support/resp.ts";
import type { RespliceError } from "../../src/index.ts";
import { Accounts } from "../accounts.ts";
import { turned } from "../turned.ts";
import { startRedis } from "./redis-server.ts";
import type { ServerProcess } from "./server-process.ts";
import { type RealScenario, type RealStage } from "./stage.ts";

const HOST = "127.0.0.1";

export const REDIS: readonly RealScenario[] = [
  {
    name: "redis-kills",
    about: "100,000 SET NX at 2,000/s, connections killed each 500 ms, the server killed five times",
    run: kills,
  },
  { name: "redis-aborts", about: "10,000 aborted requests among others", run: aborts },
  { name: "redis-password", about: "the password is changed", run: passwordChanged },
  { name: "redis-full", about: "no client more is let in for a while (maxclients)", run: full },
  { name: "redis-loading", about: "the server is loading its data", run: loading },
  { name: "redis-stopped", about: "the server's process is stopped (SIGSTOP)", run: stopped },
];

/** Everything is on disk before it is answered. */
const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

/** A client of a manager of its own, so that each has its own dials. */
function clientOf(stage: RealStage, { port }: ServerProcess, options: Partial<RedisOptions> = {}): Redis {
  return new Redis(stage.manager(), { host: HOST, port, ...options });
}

const SETS = 100_000;
const PER_SECOND = 2_000;
const KILL_EVERY_MS = 500;
const SERVER_KILLS = 5;
const IN_FLIGHT = 100;
/** Shorter than a restart: some messages are dropped while the server is away. */
const TTL_MS = 200;

/** Half of the messages go over a link whose queue drops what has waited, so that some are not sent. */
async function kills(stage: RealStage): Promise<void> {
  const server = await startRedis(stage, ...DURABLE);
  // By default a link that is cut more often than once a second soon waits longer each time.
  const options = { maxInFlight: IN_FLIGHT, reconnect: { resetAfterMs: 1_000 } };
  const links = [clientOf(stage, server, options), clientOf(stage, server, { ...options, queue: { ttlMs: TTL_MS } })];
  const killer = clientOf(stage, server);
  await Promise.all(links.map(({ link }) => link.connected()));
  let cuts = 0;
  for (const { link } of links) {
    link.on("state", ({ from, to }) => {
      if (from === "connected" && to === "reconnecting") cuts++;
    });
  }
  const total = stage.scaled(SETS, 4_000);
  const accounts = new Accounts();
  const over = new AbortController();
  const killing = killConnections(killer, over.signal);
  const startMs = performance.now();
  let sent = 0;
  let restarts = Promise.resolve();
  for (let kill = 1; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) * PER_SECOND) / 1_000));
    for (; sent < due; sent++) accounts.takeAnswer(sent, setOnce(links[sent % 2] as Redis, sent));
    if (kill <= SERVER_KILLS && sent >= (total * kill) / (SERVER_KILLS + 1)) {
      kill++;
      restarts = restarts.then(() => server.stop()).then(() => server.start());
    }
    await sleep(5);
  }
  await restarts;
  await accounts.settled();
  over.abort();
  await killing;

  const stored = await idsStored(clientOf(stage, server), total);
  const { delivered, maybe, notSent } = accounts.compare(total, stored, "delivered");
  const [first = "none"] = accounts.failures;
  stage.row({ what: "wrong accounts", figure: accounts.failures.length, bound: 0, unit: "", note: `first: ${first}` });
  stage.row({
    what: `in doubt, ${cuts} cuts with at most ${IN_FLIGHT} in flight`,
    figure: maybe.there + maybe.lost,
    bound: cuts * IN_FLIGHT,
    unit: "",
    note: `${maybe.there} of them are in the database`,
  });
  // With few of these the rows above would say little.
  const atLeast = (what: string, figure: number, bound: number): void =>
    stage.row({ what, figure, bound, is: "at least", unit: "" });
  atLeast("delivered", delivered, total / 2);
  atLeast("not sent", notSent, 1);
  atLeast("cuts", cuts, (2 * total) / PER_SECOND);
}

async function setOnce(redis: Redis, id: number): Promise<void> {
  const answer = await redis.call(["SET", `id:${id}`, "1", "NX"]);
  if (answer !== "OK") throw new Error("it was there before");
}

async function killConnections(killer: Redis, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(KILL_EVERY_MS, undefined, { signal }).catch(() => {});
    // In doubt when the server was killed meanwhile: then its connections are gone, too.
    await killer.call(["CLIENT", "KILL", "TYPE", "normal"], { signal }).catch(() => {});
  }
}

async function idsStored(redis: Redis, total: number): Promise<Set<number>> {
  const stored = new Set<number>();
  for (let from = 0; from < total; from += 1_000) {
    const ids = Array.from({ length: Math.min(1_000, total - from) }, (_, at) => from + at);
    const values = (await redis.call(["MGET", ...ids.map((id) => `id:${id}`)])) as Reply[];
    for (const [at, value] of values.entries()) if (value !== null) stored.add(from + at);
  }
  return stored;
}

const ABORTED = 10_000;
/** In a round as many are aborted before they are written, as many after, and as many not at all. */
const OF_EACH_KIND = 50;

async function aborts(stage: RealStage): Promise<void> {
  const server = await startRedis(stage);
  const redis = clientOf(stage, server);
  await redis.link.connected();
  const rounds = stage.scaled(ABORTED) / (2 * OF_EACH_KIND);
  const counts = { aborted: 0, answered: 0, crossed: 0 };
  const ask = async (text: string, signal: AbortSignal): Promise<void> => {
    try {
      counts[(await redis.call(["ECHO", text], { signal })) === text ? "answered" : "crossed"]++;
    } catch (error) {
      if ((error as RespliceError).code !== "ABORTED") throw error;
      counts.aborted++;
    }
  };
  for (let round = 0; round < rounds; round++) {
    const [before, after, never] = [new AbortController(), new AbortController(), new AbortController()];
    server.signal("SIGSTOP"); // nothing is answered until they are aborted
    const asked: Promise<void>[] = [];
    for (let number = 0; number < OF_EACH_KIND; number++) {
      for (const { signal } of [before, after, never]) asked.push(ask(`${asked.length} of round ${round}`, signal));
    }
    before.abort();
    await redis.link.flush();
    after.abort();
    server.signal("SIGCONT");
    await Promise.all(asked);
  }
  const { aborted, answered, crossed } = counts;
  stage.row({ what: "crossed answers", figure: crossed, bound: 0, unit: "", note: `${answered} answers` });
  stage.row({ what: "aborted", figure: aborted, bound: stage.scaled(ABORTED), is: "at least", unit: "" });
}

async function passwordChanged(stage: RealStage): Promise<void> {
  const server = await startRedis(stage, "--requirepass", "before");
  let password = "before";
  const told = clientOf(stage, server, { password: () => password });
  const untold = clientOf(stage, server, { password: () => "before" });
  await Promise.all([told.link.connected(), untold.link.connected()]);
  await told.call(["CONFIG", "SET", "requirepass", "after"]);
  password = "after";
  const startMs = performance.now();
  const back = turned(told.link, "connected");
  await told.call(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]).catch(() => {});
  const { error } = await untold.link.closed;
  const tookMs = performance.now() - startMs;
  stage.row({
    what: "ended after",
    figure: tookMs,
    bound: 1_000,
    unit: "ms",
    note: `${error?.code}: ${error?.message}`,
  });
  const isFatal = error?.code === "LOGIN_REFUSED" && !error.retryable;
  stage.row({ what: "with LOGIN_REFUSED", figure: isFatal ? 1 : 0, bound: 1, is: "at least", unit: "" });
  await back;
  stage.row({
    what: "connected with the new password after",
    figure: performance.now() - startMs,
    bound: 1_000,
    unit: "ms",
  });
}

/** How often a client that was refused has tried again when it is let in. */
const REFUSALS = 3;

async function full(stage: RealStage): Promise<void> {
  const server = await startRedis(stage);
  const owner = clientOf(stage, server);
  await owner.call(["CONFIG", "SET", "maxclients", "1"]);
  const redis = clientOf(stage, server);
  const answer = redis.call(["PING"]);
  const reasons = new Set<string>();
  for (let refusals = 0; refusals < REFUSALS; refusals++) {
    const { error } = await turned(redis.link, "reconnecting");
    reasons.add(error?.message ?? "");
  }
  await owner.call(["CONFIG", "SET", "maxclients", "100"]);
  const startMs = performance.now();
  await isPong(stage, answer, () => [...reasons].join("; "));
  // The third delay is of at most 1 s.
  stage.row({
    what: "connected when there is room, after",
    figure: performance.now() - startMs,
    bound: 2_000,
    unit: "ms",
  });
}

const KEYS = 2_000;

async function loading(stage: RealStage): Promise<void> {
  const slowly = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
  const server = await startRedis(stage, ...DURABLE, ...slowly);
  const redis = clientOf(stage, server);
  const sets = Array.from({ length: KEYS }, (_, key) => redis.call(["SET", `key:${key}`, "x".repeat(100)]));
  await Promise.all(sets);
  const reasons: string[] = [];
  redis.link.on("state", (change) => {
    if (change.to === "reconnecting") reasons.push(change.error?.message ?? change.reason);
  });
  await server.stop();
  const answer = redis.call(["PING"]);
  await server.start();
  await isPong(stage, answer, () => reasons.join("; "));
  const refusals = reasons.filter((reason) => reason.includes("LOADING")).length;
  stage.row({ what: "refused while it was loading", figure: refusals, bound: 1, is: "at least", unit: "" });
}

/** `note` is called when the answer is there. */
async function isPong(stage: RealStage, answer: Promise<Reply>, note: () => string): Promise<void> {
  const figure = (await answer) === "PONG" ? 1 : 0;
  stage.row({ what: "answered", figure, bound: 1, is: "at least", unit: "", note: note() });
}

const PING_AFTER_MS = 1_000;
const DEAD_AFTER_MS = 1_000;

async function stopped(stage: RealStage): Promise<void> {
  const server = await startRedis(stage);
  const redis = clientOf(stage, server, { keepalive: { pingAfterMs: PING_AFTER_MS, deadAfterMs: DEAD_AFTER_MS } });
  await redis.call(["PING"]);
  const startMs = performance.now();
  server.signal("SIGSTOP");
  const inDoubt = redis.call(["PING"]).then(
    () => "answered",
    (error: unknown) => (error as RespliceError).delivery,
  );
  const { reason } = await turned(redis.link, "reconnecting");
  const tookMs = performance.now() - startMs;
  const bound = 1.1 * (PING_AFTER_MS + DEAD_AFTER_MS);
  stage.row({
    what: "noticed after",
    figure: tookMs,
    bound,
    unit: "ms",
    note: `${reason}; the call is ${await inDoubt}`,
  });
  const answer = redis.call(["PING"]);
  server.signal("SIGCONT");
  await isPong(stage, answer, () => "after SIGCONT");
}
