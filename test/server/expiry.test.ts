import { describe, expect, test } from "vitest";
import type { StateChange } from "../../src/index.ts";
import { Expiry } from "../../src/server/expiry.ts";
import type { Verdict } from "../../src/server/verdict.ts";
import { linkPair } from "../../src/testing/index.ts";
import { failure, heard, ManualClock, openTo, pair, serve, turned } from "../support.ts";
import { dial, setUp } from "./served-sessions.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A wall clock that can be set, beside a clock that goes on. */
class Wall extends ManualClock {
  aheadMs = 1_800_000_000_000;

  override wallMs(): number {
    return this.now() + this.aheadMs;
  }
}

function watch(random: () => number) {
  const clock = new Wall(0);
  const expiredMs: number[] = [];
  const expiry = new Expiry({ clock, random }, () => expiredMs.push(clock.now()));
  return { clock, expiry, expiredMs, in: (ms: number) => clock.wallMs() + ms };
}

describe("the time", () => {
  test("is that of the credentials at the earliest, and a tenth later at the latest", () => {
    const { clock, expiry, expiredMs, ...at } = watch(() => 0);
    expiry.begin(at.in(100_000));
    clock.pass(99_999);
    expect(expiredMs).toEqual([]);
    clock.pass(1);
    expect(expiredMs).toEqual([100_000]);

    const late = watch(() => 0.999);
    late.expiry.begin(late.in(100_000));
    late.clock.pass(109_800);
    expect(late.expiredMs).toEqual([]);
    late.clock.pass(200);
    expect(late.expiredMs).toEqual([109_990]);
  });

  test("of a thousand clients of one moment is not the same, and is within half a minute however long it was", () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const expired = Array.from({ length: 1_000 }, () => {
      const { clock, expiry, expiredMs, ...at } = watch(random);
      expiry.begin(at.in(HOUR_MS));
      clock.pass(HOUR_MS - 1);
      expect(expiredMs).toEqual([]);
      clock.pass(30_001);
      return expiredMs[0] as number;
    });
    expect(Math.max(...expired)).toBeLessThanOrEqual(HOUR_MS + 30_000);
    const early = expired.filter((ms) => ms < HOUR_MS + 15_000).length;
    expect(early).toBeGreaterThan(400);
    expect(early).toBeLessThan(600);
  });

  test("may be further away than a timer of Node reaches", () => {
    const { clock, expiry, expiredMs, ...at } = watch(() => 0);
    expiry.begin(at.in(3_000_000_000));
    clock.pass(2_999_999_999);
    expect(expiredMs).toEqual([]);
    clock.pass(1);
    expect(expiredMs).toEqual([3_000_000_000]);
  });

  test("is that of the wall clock: it may be set, and goes on while the machine sleeps", () => {
    const { clock, expiry, expiredMs, ...at } = watch(() => 0);
    expiry.begin(at.in(HOUR_MS));
    clock.aheadMs += HOUR_MS;
    clock.pass(MINUTE_MS);
    expect(expiredMs).toEqual([MINUTE_MS]);

    expiry.begin(at.in(HOUR_MS));
    clock.aheadMs -= HOUR_MS;
    clock.pass(2 * HOUR_MS - 1);
    expect(expiredMs.length).toBe(1);
    clock.pass(1);
    expect(expiredMs.length).toBe(2);

    expiry.begin(at.in(2 * HOUR_MS));
    clock.pass(HOUR_MS);
    clock.aheadMs += HOUR_MS;
    clock.pass(MINUTE_MS);
    expect(expiredMs.length).toBe(3);
  });

  test("is forgotten with the connection", () => {
    const { clock, expiry, expiredMs, ...at } = watch(() => 0);
    expiry.begin(at.in(1_000));
    expiry.end();
    clock.pass(2_000);
    expect([expiredMs, clock.isAwaited]).toEqual([[], false]);
  });
});

/** Who knocks, with which token, and the server's answer. */
function gate() {
  const tokens: string[] = [];
  const answers: Array<() => Verdict> = [];
  const authenticate = ({ credentials }: { credentials: Buffer }): Verdict => {
    tokens.push(String(credentials));
    return answers.shift()?.() ?? { identity: "alice" };
  };
  return { tokens, answers, authenticate };
}

let renewed = 0;
/** Each attempt has a token of its own. */
const fresh = { credentials: () => `token ${++renewed}` };

describe("credentials that expire", () => {
  test("are asked for again; messages in flight come once, and claims are renewed", async () => {
    const { tokens, answers, authenticate } = gate();
    answers.push(
      () => ({ identity: "alice", claims: "old", expiresAtMs: Date.now() + 50 }),
      () => ({ identity: "alice", claims: "new" }),
    );
    const changes = Promise.withResolvers<[unknown, StateChange, StateChange]>();
    const { port, links } = await serve({ authenticate }, (link) => {
      const lost = turned(link, "reconnecting");
      const back = lost.then(() => turned(link, "connected"));
      changes.resolve(Promise.all([link.claims, lost, back]));
    });
    const client = openTo(port, fresh);
    let sent = 0;
    const sending = setInterval(() => void client.trySend(`message ${sent++}`), 1);
    expect(await changes.promise).toMatchObject(["old", { reason: "credentials-expired" }, { session: "resumed" }]);
    clearInterval(sending);
    const server = await links.next();
    client.end();
    const seen = [];
    for await (const message of server) seen.push(String(message));
    expect(seen).toEqual(Array.from({ length: sent }, (_, n) => `message ${n}`));
    expect([server.claims, new Set(tokens).size]).toEqual(["new", 2]);
  });

  test("and are refused then end the client's link, with the server's reason", async () => {
    const { answers, authenticate } = gate();
    answers.push(
      () => ({ identity: "alice", expiresAtMs: Date.now() + 50 }),
      () => ({ refused: "the account is closed" }),
    );
    const { port } = await serve({ authenticate });
    const { error } = await openTo(port, fresh).closed;
    expect(error).toMatchObject({ code: "AUTHENTICATION_REFUSED", peerCode: "the account is closed" });
  });

  test("at a time that has passed are no answer: the client tries again", async () => {
    const { answers, authenticate } = gate();
    // In seconds, as a token has it.
    answers.push(() => ({ identity: "alice", expiresAtMs: Date.now() / 1_000 + 3_600 }));
    const { port } = await serve({ authenticate });
    const client = openTo(port, fresh);
    expect((await turned(client, "reconnecting")).error).toMatchObject({ code: "AUTHENTICATION_UNAVAILABLE" });
    await client.connected();
  });
});

describe("in virtual time", () => {
  test("tokens of an hour, for ten hours: each message comes once, and the client is asked once an hour", async () => {
    const seen: string[] = [];
    const asked: number[] = [];
    const server = setUp((link) => link.onMessage((message) => void seen.push(String(message))), {
      authenticate: ({ credentials }) => {
        const madeMs = Number(String(credentials));
        asked.push(server.clock.nowMs);
        return madeMs + HOUR_MS > server.clock.nowMs ? { identity: "alice", expiresAtMs: madeMs + HOUR_MS } : null;
      },
    });
    const { clock } = server;
    const client = dial(server, { credentials: () => String(clock.nowMs) });
    for (let n = 0; n < 61; n++) {
      client.trySend(`message ${n}`);
      await clock.advance(10 * MINUTE_MS);
    }
    expect(seen).toEqual(Array.from({ length: 61 }, (_, n) => `message ${n}`));
    expect([client.state, client.stats().reconnects, asked.length, server.links.length]).toEqual([
      "connected",
      10,
      11,
      1,
    ]);
  });

  test("tokens that all expire at one moment: their clients come back one after the other", async () => {
    const expiresAtMs = 10 * MINUTE_MS;
    const backMs: number[] = [];
    const server = setUp(() => {}, {
      authenticate: ({ credentials }) => {
        const isFirst = server.clock.nowMs < expiresAtMs;
        if (!isFirst) backMs.push(server.clock.nowMs);
        return { identity: String(credentials), expiresAtMs: isFirst ? expiresAtMs : 2 * HOUR_MS };
      },
    });
    const clients = Array.from({ length: 60 }, (_, n) => dial(server, { credentials: `client ${n}` }));
    await server.clock.advance(expiresAtMs + 31_000);
    expect(backMs.length).toBe(60);
    expect(clients.map(({ state }) => state)).toEqual(clients.map(() => "connected"));
    const bySecond = Map.groupBy(backMs, (ms) => Math.floor(ms / 1_000));
    expect(Math.max(...Array.from(bySecond.values(), ({ length }) => length))).toBeLessThanOrEqual(12);
  });
});

describe("reauthenticate()", () => {
  test("asks now, and the link goes on", async () => {
    const { tokens, authenticate } = gate();
    const { port, links } = await serve({ authenticate });
    const client = openTo(port, fresh);
    await client.connected();
    const server = await links.next();
    const lost = turned(server, "reconnecting");
    const back = turned(client, "connected");
    server.reauthenticate();
    expect(await lost).toMatchObject({ reason: "reauthenticate" });
    expect(await back).toMatchObject({ session: "resumed" });
    expect(tokens.length).toBe(2);
    await client.send("still there");
    expect(String(await server.receive())).toBe("still there");
  });

  test("does nothing while the client is away, and after the end", async () => {
    const { tokens, authenticate } = gate();
    const { port, links } = await serve({ authenticate });
    const client = openTo(port, fresh);
    const server = await links.next();
    const lost = heard(server, "state");
    client.hold();
    server.reauthenticate();
    await lost;
    server.reauthenticate();
    server.abort();
    server.reauthenticate();
    expect(tokens.length).toBe(1);
  });

  test("is for servers that ask who is there", async () => {
    const { client, server } = await pair();
    for (const link of [client, server]) {
      expect(await failure(() => link.reauthenticate())).toMatchObject({ code: "NOT_SUPPORTED" });
    }
    await using both = linkPair({ identity: "alice" });
    both.server.reauthenticate();
    await both.clock.advance(1_000);
    expect(both.client.state).toBe("connected");
    expect(both.client.stats().reconnects).toBe(1);
  });
});
