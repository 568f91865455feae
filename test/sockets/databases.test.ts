// Clients of databases over links that are cut: they see one connection.
import { once } from "node:events";
import type net from "node:net";
import { AbstractConnector, Redis } from "ioredis";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { FakeRedis } from "../examples/support/fake-redis.ts";
import { servePostgres } from "./fake-postgres.ts";
import { LARGE, stage } from "./stage.ts";

/** The time after which ioredis destroys a socket that it has ended: longer than this test. */
const DISCONNECT_MS = 60_000;

test("pg", async () => {
  let asked = 0;
  const { open, cut, links } = await stage((socket) =>
    servePostgres(socket, (query) => {
      asked++;
      cut();
      return query.slice("select ".length);
    }),
  );
  const pool = new pg.Pool({ stream: open, user: "somebody", max: 1, keepAlive: true, allowExitOnIdle: true });
  const large = LARGE.toString("hex");
  for (const word of ["one", "two", large]) {
    const { rows } = await pool.query<{ answer: string }>(`select ${word}`);
    expect(rows[0]?.answer === word).toBe(true);
  }
  await pool.end();
  expect([asked, links.length]).toEqual([3, 1]);
  expect((await links[0]?.closed)?.error).toBeUndefined();
});

test("ioredis", async () => {
  const redis = new FakeRedis();
  const { open, cut, links } = await stage((socket) => redis.serve(socket));
  class LinkConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_MS);
    }

    override connect(): Promise<net.Socket> {
      this.stream = open();
      return Promise.resolve(this.stream);
    }
  }
  const client = new Redis({ Connector: LinkConnector, enableReadyCheck: false, disableClientInfo: true });
  onTestFinished(() => client.disconnect());
  for (const word of ["one", "two", "three"]) {
    const set = client.set("key", word);
    cut();
    expect([await set, await client.get("key")]).toEqual(["OK", word]);
  }
  const ended = once(client, "end");
  client.disconnect();
  await ended;
  expect(links).toHaveLength(1);
  expect((await links[0]?.closed)?.error).toBeUndefined();
});
