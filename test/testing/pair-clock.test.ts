/** The clock of a pair: time passes when it is told to, and a run can be repeated. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Link } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import { echo, failure, receiveText } from "../support.ts";
import { paired } from "./paired.ts";

describe("the clock", () => {
  test("passes only when it is told to, by exactly so much", async () => {
    const { clock } = paired();
    await clock.advance(1_500);
    expect(clock.nowMs).toBe(1_500);
    await clock.advance(0);
    await clock.advance(0.5);
    expect(clock.nowMs).toBe(1_500.5);
  });

  test("called again before it has passed goes on from there", async () => {
    const { clock } = paired();
    const seen: number[] = [];
    await Promise.all(
      [1_000, 500, 250].map(async (ms) => {
        await clock.advance(ms);
        seen.push(clock.nowMs);
      }),
    );
    expect(seen).toEqual([1_000, 1_500, 1_750]);
  });

  test.each([-1, Number.NaN, Infinity, "5" as unknown as number])("refuses %s", async (ms) => {
    const { clock } = paired();
    await expect(clock.advance(ms)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(clock.nowMs).toBe(0);
    await clock.advance(1);
    expect(clock.nowMs).toBe(1);
  });

  test("lets promises, ticks and turns of the application come in between", async () => {
    const pair = paired();
    pair.path.latency(100);
    const times: number[] = [];
    void (async () => {
      for await (const message of pair.server) {
        for (let hop = 0; hop < 200; hop++) await Promise.resolve();
        await new Promise<void>((resolve) => {
          process.nextTick(resolve);
        });
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        times.push(pair.clock.nowMs);
        await pair.server.send(message);
      }
    })();
    void (async () => {
      for await (const message of pair.client) {
        times.push(pair.clock.nowMs);
        if (times.length < 6) await pair.client.send(message);
      }
    })();
    await pair.client.send("ping");
    await pair.clock.advance(1_000);
    expect(times).toEqual([100, 200, 300, 400, 500, 600]);
  });

  test(
    "says so when the two ends talk at one moment without end, and can go on after that",
    { timeout: 60_000 },
    async () => {
      const { client, server, path, clock } = paired();
      let talks = true;
      const answer = (link: Link) => async (): Promise<void> => {
        if (talks) await link.send("and you?");
      };
      client.onMessage(answer(client));
      server.onMessage(answer(server));
      await client.send("how are you?");
      expect(await failure(clock.advance(1))).toMatchObject({ code: "INVALID_STATE" });
      path.latency(10);
      await clock.advance(1_000);
      talks = false;
      expect(clock.nowMs).toBe(1_000);
    },
  );

  describe("beside the fake timers of a test runner", () => {
    afterEach(() => void vi.useRealTimers());

    test("runs all the same", async () => {
      vi.useFakeTimers();
      const pair = linkPair({ serve: echo });
      await pair.client.send("hello");
      expect(await receiveText(pair.client)).toBe("hello");
      pair.path.cut("rst");
      await pair.clock.advance(1_000);
      expect(pair.client.state).toBe("connected");
      await pair[Symbol.asyncDispose]();
    });
  });
});

describe("the same run each time", () => {
  /** Everything that shows of a run with all faults in it. */
  async function run(seed: number): Promise<string[]> {
    const pair = linkPair({ seed, serve: echo, client: { keepalive: { pingAfterMs: 500, suspectAfterMs: 200 } } });
    const { client, path, clock } = pair;
    const trace: string[] = [`${client.id} ${client.sessionId}`];
    const note = (what: string): void => void trace.push(`${clock.nowMs} ${what}`);
    client.on("state", (change) => note(JSON.stringify(change)));
    client.onMessage((message) => note(String(message)));
    const faults = [
      () => path.cut("fin"),
      () => path.blackHole({ direction: "to-server" }),
      () => path.stall(),
      () => path.latency(250, { jitterMs: 50 }),
      () => path.cutAfterBytes(17),
      () => path.refuse(),
    ];
    for (const [n, fault] of faults.entries()) {
      await client.send(`before ${n}`);
      await clock.advance(20);
      fault();
      await client.send(`after ${n}`);
      await clock.advance(2_000);
      path.heal();
      await clock.advance(30_000);
    }
    await pair[Symbol.asyncDispose]();
    return trace;
  }

  test("with the same seed, and another with another", async () => {
    const [first, again, other] = [await run(7), await run(7), await run(8)];
    expect(first.filter((line) => /(before|after) \d$/u.test(line))).toHaveLength(12);
    expect(first.length).toBeGreaterThan(25);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test("when two run at the same time", async () => {
    const alone = await run(3);
    expect(await Promise.all([run(3), run(3)])).toEqual([alone, alone]);
  });
});
