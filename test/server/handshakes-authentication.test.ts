/** Handshakes that wait for authenticate(), and what it may answer. */
import { describe, expect, test } from "vitest";
import { Arrivals, eventually, isPending, logKeeper, openTo, relayTo, serve, turned } from "../support.ts";

describe("a slow authenticate()", () => {
  test("calls under way are capped, who waits is in order, and a session that is here finds room", async () => {
    const calls = new Arrivals<{ who: string; answer: (identity: string) => void }>();
    let slow = false;
    const { port, supervisor } = await serve({
      limits: { authenticating: 4 },
      authenticate: ({ credentials }) => {
        const who = String(credentials);
        if (!slow) return who;
        return new Promise<string>((resolve) => {
          calls.put({ who, answer: resolve });
        });
      },
    });
    const relay = await relayTo(port);
    const known = openTo(relay.port, { credentials: "known" });
    await known.connected();
    slow = true;
    const strangers = Array.from({ length: 6 }, (_, n) => openTo(port, { credentials: `stranger ${n}` }));
    const asked = [await calls.next(), await calls.next(), await calls.next()];
    await eventually(() => expect(supervisor.stats().connections.handshaking).toBe(6));
    expect(calls.size).toBe(0);
    const back = turned(known, "connected");
    relay.cut("rst");
    const comes = await calls.next();
    expect(comes.who).toBe("known");
    comes.answer(comes.who);
    expect(await back).toMatchObject({ session: "resumed" });
    for (const { who, answer } of asked) answer(who);
    for (let n = 0; n < 3; n++) {
      const { who, answer } = await calls.next();
      answer(who);
    }
    await Promise.all(strangers.map((link) => link.connected()));
  });

  test("who would wait too long is told when to come back, before it is asked who it is", async () => {
    let calls = 0;
    const { port, supervisor } = await serve({
      timeouts: { handshakeMs: 1_000 },
      limits: { authenticating: 1 },
      authenticate: () => {
        calls++;
        return new Promise<string>(() => {});
      },
    });
    const first = openTo(port);
    await eventually(() => expect(calls).toBe(1));
    const second = openTo(port);
    const { error } = await turned(second, "reconnecting");
    expect(error).toMatchObject({ code: "OVERLOADED", retryable: true });
    expect(error?.retryAfterMs).toBeGreaterThan(0);
    expect(calls).toBe(1);
    expect(supervisor.stats().turnedAway["authenticating"]).toBeGreaterThan(0);
    first.abort();
  });
});

describe("authenticate()", () => {
  test("sees what the client gave, and its answer is the link's identity", async () => {
    const { port, links } = await serve({
      authenticate: async ({ credentials, openPayload, remoteAddress, signal, certificate: presented }) => {
        expect(String(credentials)).toBe("token");
        expect(String(openPayload)).toBe("tenant");
        expect(remoteAddress).toMatch(/127\.0\.0\.1$/);
        expect(signal.aborted).toBe(false);
        expect(presented).toBeUndefined();
        await Promise.resolve();
        return "someone";
      },
    });
    const link = openTo(port, { credentials: "token", openPayload: "tenant" });
    await link.connected();
    expect((await links.next()).identity).toBe("someone");
    expect(link.identity).toBeUndefined();
  });

  test("null is AUTHENTICATION_REFUSED, for good", async () => {
    const { lines, logger } = logKeeper();
    const { port, supervisor } = await serve({ logger, authenticate: () => null });
    const link = openTo(port, { credentials: "wrong" });
    expect((await link.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED", retryable: false });
    expect(supervisor.stats().refused).toEqual({ authentication: 1 });
    expect(lines.find(({ event }) => event === "server.refused")).toMatchObject({ code: "authentication" });
  });

  test("a reason reaches the client, and stands in one line of its error and of the log", async () => {
    const { lines, logger } = logKeeper();
    const refused = "the quota of tenant-a\nis used up";
    const { port } = await serve({ logger, authenticate: async () => ({ refused }) });
    const { error } = await openTo(port).closed;
    expect(error).toMatchObject({
      code: "AUTHENTICATION_REFUSED",
      message: `127.0.0.1:${port}: the server refused the credentials: the quota of tenant-a\\nis used up`,
      peerCode: refused,
    });
    expect(lines.find(({ event }) => event === "server.refused")).toMatchObject({
      reason: "the quota of tenant-a\\nis used up",
    });
  });

  test("a reason ends a link on a resume too, and what does not fit of it is cut off", async () => {
    const answers = ["someone", { refused: `${"x".repeat(255)}é` }];
    const { port } = await serve({ authenticate: () => answers.shift() ?? null });
    const relay = await relayTo(port);
    const link = openTo(relay.port);
    await link.connected();
    relay.cut("rst");
    expect((await link.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED", peerCode: "x".repeat(255) });
  });

  test.each<[string, () => never | Promise<never>]>([
    [
      "throws",
      () => {
        throw new Error("the database is down");
      },
    ],
    ["rejects", () => Promise.reject(new Error("the database is down"))],
  ])("one that %s is asked again later", async (_, fail) => {
    const { lines, logger } = logKeeper();
    let calls = 0;
    const { port } = await serve({ logger, authenticate: () => (++calls === 1 ? fail() : "someone") });
    const link = openTo(port);
    expect((await turned(link, "reconnecting")).error).toMatchObject({
      code: "AUTHENTICATION_UNAVAILABLE",
      retryable: true,
    });
    await link.connected();
    expect(calls).toBe(2);
    expect(lines.find(({ event }) => event === "server.rejected")).toMatchObject({ detail: "the database is down" });
  });

  test("one that throws anything at all is told of in one line", async () => {
    const { lines, logger } = logKeeper();
    const thrown = [Object.create(null), new Error("bad token 'x\n\u001b[31mforged'")];
    const authenticate = (): string => {
      const next: unknown = thrown.shift();
      if (next === undefined) return "someone";
      throw next as Error;
    };
    const { port } = await serve({ logger, authenticate });
    await openTo(port).connected();
    const told = lines.filter(({ event }) => event === "server.rejected").map(({ detail }) => detail);
    expect(told).toEqual(["[Object: null prototype] {}", "bad token 'x\\n\\x1b[31mforged'"]);
  });

  test.each([true, undefined, { user: "admin" }])(
    "%j is no verdict, at once or later: logged, and asked again on opens and resumes",
    async (odd) => {
      const { lines, logger } = logKeeper();
      const answers = [odd, "someone", Promise.resolve(odd), "someone"];
      const { port, links } = await serve({ logger, authenticate: () => answers.shift() as string });
      const relay = await relayTo(port);
      const link = openTo(relay.port);
      expect((await turned(link, "reconnecting")).error).toMatchObject({ code: "AUTHENTICATION_UNAVAILABLE" });
      await link.connected();
      const server = await links.next();
      relay.cut("rst");
      expect(await turned(link, "connected")).toMatchObject({ session: "resumed", attempt: 2 });
      expect([link.state, server.state]).toEqual(["connected", "connected"]);
      const details = lines.filter(({ event }) => event === "server.rejected").map(({ detail }) => String(detail));
      expect(details).toEqual([expect.stringMatching(/^it answered /), expect.stringMatching(/^it answered /)]);
      expect(details.join()).not.toContain("admin");
    },
  );

  test("claims are those of the connection in use: a resume brings what is new", async () => {
    const roles = ["reader", "writer"];
    const { port, links } = await serve({
      authenticate: () => ({ identity: "someone", claims: { role: roles.shift() } }),
    });
    const relay = await relayTo(port);
    const link = openTo(relay.port);
    await link.connected();
    const server = await links.next();
    expect([server.identity, server.claims, link.claims]).toEqual(["someone", { role: "reader" }, undefined]);
    relay.cut("rst");
    await turned(link, "connected");
    expect([server.identity, server.claims]).toEqual(["someone", { role: "writer" }]);
  });

  test("may do with the open payload what it likes, as may the handler: the session is resumed all the same", async () => {
    const seen: string[] = [];
    const { port, links } = await serve({
      authenticate: ({ openPayload }) => {
        seen.push(String(openPayload));
        openPayload.fill(0);
        return "someone";
      },
    });
    const relay = await relayTo(port);
    const link = openTo(relay.port, { openPayload: "tenant" });
    await link.connected();
    const server = await links.next();
    expect(String(server.openPayload)).toBe("tenant");
    expect(server.openPayload).toBe(server.openPayload);
    for (const { openPayload } of [link, server]) openPayload.fill(0);
    relay.cut("rst");
    expect(await turned(link, "connected")).toMatchObject({ session: "resumed" });
    expect(seen).toEqual(["tenant", "tenant"]);
  });

  test("runs on a resume too; another identity is refused, for good, and the session stays its owner's", async () => {
    const identities = ["one", "one", "two"];
    const { port, links } = await serve({ authenticate: () => identities.shift() ?? null });
    const relay = await relayTo(port);
    const link = openTo(relay.port);
    await link.connected();
    const server = await links.next();
    relay.cut("rst");
    expect(await turned(link, "connected")).toMatchObject({ session: "resumed" });
    relay.cut("rst");
    expect((await link.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED" });
    expect(server.identity).toBe("one");
    expect(server.state).toBe("reconnecting");
  });

  test("a client that has gone meanwhile aborts its signal", async () => {
    const signals = new Arrivals<AbortSignal>();
    const { port } = await serve({
      authenticate: ({ signal }) => {
        signals.put(signal);
        return new Promise<string>(() => {});
      },
    });
    const relay = await relayTo(port);
    openTo(relay.port);
    const signal = await signals.next();
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    relay.cut("rst");
    await aborted;
  });

  test("so does the handshake's deadline", async () => {
    const signals = new Arrivals<AbortSignal>();
    const { port } = await serve({
      timeouts: { handshakeMs: 60 },
      authenticate: ({ signal }) => {
        signals.put(signal);
        return new Promise<string>(() => {});
      },
    });
    openTo(port);
    const signal = await signals.next();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });

  test("an answer that comes too late finds nobody, and does no harm", async () => {
    const answers = new Arrivals<(identity: string) => void>();
    const { port, links } = await serve({
      authenticate: () =>
        new Promise<string>((resolve) => {
          answers.put(resolve);
        }),
    });
    const relay = await relayTo(port);
    const link = openTo(relay.port);
    const late = await answers.next();
    relay.cut("rst");
    const inTime = await answers.next();
    late("late");
    inTime("in time");
    await link.connected();
    expect((await links.next()).identity).toBe("in time");
    expect(await isPending(links.next(), 20)).toBe(true);
  });
});
