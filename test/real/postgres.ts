/** PostgreSQL: its sessions are ended under INSERTs, and it lets clients in, or not, or not yet. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link, PlainLink } from "../../src/index.ts";
import { Accounts } from "../accounts.ts";
import { turned } from "../turned.ts";
import { MOST_IN_FLIGHT, query } from "./postgres-client.ts";
import { PostgresServer } from "./postgres-server.ts";
import type { RealScenario, RealStage } from "./stage.ts";

const INSERTS = 20_000;
/** 2,000 a second. */
const INSERTS_AT_ONCE = 20;
const INSERTS_EVERY_MS = 10;
const TERMINATED_EVERY_MS = 200;
/** Given to the link when the server is gone. */
const INSERTS_TOO_LATE = 100;
const CLIENTS = 5;

export const POSTGRES: readonly RealScenario[] = [
  { name: "postgres-terminated", about: "pg_terminate_backend() in a loop under INSERTs", run: terminated },
  { name: "postgres-login", about: "a wrong password, no place left, and a server that shuts down", run: login },
];

async function terminated(stage: RealStage): Promise<void> {
  const server = await PostgresServer.start(stage);
  const { admin } = server;
  await query(admin, "CREATE TABLE inserts (place bigserial, id integer)");
  await query(admin, "GRANT INSERT ON inserts TO client; GRANT USAGE ON SEQUENCE inserts_place_seq TO client");
  const link = server.open({ applicationName: "inserts" });
  const accounts = new Accounts();
  let cuts = 0;
  link.on("state", ({ from }) => {
    if (from === "connected") cuts++;
  });
  let sent = 0;
  const insert = (): void => {
    const id = sent++;
    accounts.takeAnswer(id, query(link, `INSERT INTO inserts (id) VALUES (${id})`));
  };
  const count = stage.scaled(INSERTS);
  const terminating = new AbortController();
  const terminator = terminate(link, admin, terminating.signal);
  while (sent < count) {
    for (let n = 0; n < INSERTS_AT_ONCE; n++) insert();
    await sleep(INSERTS_EVERY_MS);
  }
  terminating.abort();
  await Promise.all([terminator, accounts.settled()]);
  const gone = turned(link, "reconnecting");
  await server.process.stop("SIGINT");
  await gone;
  for (let n = 0; n < INSERTS_TOO_LATE; n++) insert();
  await link.close({ deadlineMs: 0 });
  await accounts.settled();
  await server.process.start();

  const ids = (await query(admin, "SELECT id FROM inserts ORDER BY place")).map(([id]) => Number(id));
  const { delivered, maybe, notSent } = accounts.compare(sent, new Set(ids), "delivered");
  const shares = `${delivered} answered, ${maybe.there + maybe.lost} in doubt (${maybe.there} are there)`;
  const [first = "none"] = accounts.failures;
  stage.row({
    what: "wrong accounts",
    figure: accounts.failures.length,
    bound: 0,
    unit: "",
    note: `of ${sent}: ${shares}; first: ${first}`,
  });
  stage.row({ what: "not sent", figure: notSent, bound: INSERTS_TOO_LATE, is: "at least", unit: "" });
  stage.row({
    what: "in doubt",
    figure: maybe.there + maybe.lost,
    bound: cuts * MOST_IN_FLIGHT,
    unit: "",
    note: `${cuts} cuts x ${MOST_IN_FLIGHT} in flight`,
  });
  const strays = ids.filter((id, at) => id <= (ids[at - 1] ?? -1)).length;
  stage.row({ what: "twice, or out of order", figure: strays, bound: 0, unit: "", note: `of ${ids.length} rows` });
}

/** Ends the link's session again and again. */
async function terminate(link: PlainLink, admin: PlainLink, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(TERMINATED_EVERY_MS);
    await link.connected();
    await query(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inserts'");
  }
}

async function login(stage: RealStage): Promise<void> {
  const server = await PostgresServer.start(stage, CLIENTS);
  const { admin } = server;

  const askedMs = performance.now();
  const { error } = await server.open({ password: "guess" }).closed;
  const isFatal = error?.code === "LOGIN_REFUSED" && error.message.includes("28P01");
  stage.row({
    what: "28P01: the link ends",
    figure: performance.now() - askedMs,
    bound: isFatal ? 1_000 : 0,
    unit: "ms",
    note: error?.message ?? "no error",
  });

  const others = Array.from({ length: CLIENTS }, () => server.open());
  await Promise.all(others.map((other) => other.connected()));
  const link = server.open();
  await failsWith(link, "53300");
  const roomMs = performance.now();
  await Promise.all(others.map((other) => other.close()));
  await link.connected();
  stage.row({
    what: "53300: retried, and in when there is room",
    figure: performance.now() - roomMs,
    bound: 1_000,
    unit: "ms",
  });

  const fell = turned(link, "reconnecting");
  await query(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'client'");
  const { reason } = await fell;
  await link.connected();
  stage.row({
    what: "57P01: seen, and connected again",
    figure: reason === "reconnect-when" ? 1 : 0,
    bound: 1,
    is: "at least",
    unit: "",
    note: reason,
  });

  // The server goes on for the sessions that it has, and takes no others.
  server.process.signal("SIGTERM");
  await query(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'client'");
  await failsWith(link, "57P03");
  await admin.close();
  await server.process.stop("SIGTERM");
  await server.process.start();
  const backMs = performance.now();
  await query(link, "SELECT 1");
  stage.row({
    what: "57P03: retried, and in when it is up",
    figure: performance.now() - backMs,
    bound: 1_000,
    unit: "ms",
  });
}

/** Resolves when an attempt of the link has failed with that code of the server's. */
async function failsWith(link: Link, code: string): Promise<void> {
  for (;;) {
    const { error } = await turned(link, "reconnecting");
    if (error?.message.includes(code) === true) return;
  }
}
