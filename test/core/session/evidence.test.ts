import { describe, expect, test } from "vitest";
import { watch } from "./watching.ts";

describe("silence", () => {
  test("nothing at all for 15 seconds: a PING, then a suspicion when nobody answers it for 8 to 10, and that only once", () => {
    const { run } = watch();
    expect(run(600_000)).toEqual([
      [15_000, "ping"],
      [24_000, "suspect"],
    ]);
  });

  test("the peer talks, but nothing shows that our bytes arrive: a PING all the same", () => {
    const { evidence, run } = watch();
    for (let ms = 1_000; ms < 15_000; ms += 1_000) {
      evidence.onHeard(ms);
      expect(run(ms)).toEqual([]);
    }
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
  });

  test("what we write arrives, but the peer says nothing else: a PING counts from the last byte heard", () => {
    const { evidence, run } = watch();
    evidence.onHeard(2_000);
    evidence.onProgress(false, 9_000);
    expect(run(30_000)).toEqual([
      [17_000, "ping"],
      [26_000, "suspect"],
    ]);
  });

  test("a peer that answers is asked every 15 seconds, and never suspect", () => {
    const { evidence, run } = watch();
    for (let round = 1; round <= 10; round++) {
      const askedMs = round * 15_000 + (round - 1) * 100;
      expect(run(askedMs + 100)).toEqual([[askedMs, "ping"]]);
      evidence.onHeard(askedMs + 100);
      evidence.onPong(evidence.pingToken, askedMs + 100);
    }
    expect(evidence.suspect).toBe(false);
  });

  test("a byte that is heard does not answer a PING: the way out is not proven", () => {
    const { evidence, run } = watch();
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
    evidence.onHeard(16_000);
    expect(run(30_000)).toEqual([[24_000, "suspect"]]);
  });

  test("links that were asked together suspect at different moments", () => {
    const draws = [0, 1, 0, 0];
    const { evidence, run } = watch({}, () => draws.shift() ?? 0);
    expect(run(30_000)).toEqual([
      [15_000, "ping"],
      [23_000, "suspect"],
    ]);
    evidence.onHeard(30_000);
    evidence.onProgress(true, 30_000);
    evidence.onProgress(false, 30_000);
    expect(run(60_000).at(-1)).toEqual([55_000, "suspect"]);
  });

  test("with keepalive off an idle link is never asked, and nothing needs a timer", () => {
    const { evidence, run } = watch({ pingAfterMs: 0 });
    expect(evidence.nextMs()).toBe(Infinity);
    expect(run(10_000_000)).toEqual([]);
    expect(evidence.check(10_000_000, 10_000_000)).toBe("nothing");
  });
});

describe("data in flight", () => {
  test("no progress for the time that was drawn: suspect at once, with a PING to find out", () => {
    const { evidence, run } = watch();
    const token = evidence.pingToken;
    evidence.onWaiting(1_000);
    expect(run(60_000)).toEqual([[4_000, "suspect"]]);
    expect(evidence.suspect).toBe(true);
    expect(evidence.pingToken).toBe(token + 1);
  });

  test("writing more does not buy time", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(1_000);
    evidence.onWaiting(3_900);
    expect(run(4_000)).toEqual([[4_000, "suspect"]]);
  });

  test("each step of progress begins the time anew while something is still in flight", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(0);
    for (let ms = 2_500; ms < 60_000; ms += 2_500) {
      evidence.onHeard(ms);
      expect(evidence.onProgress(true, ms)).toBe(false);
      expect(run(ms)).toEqual([]);
    }
    expect(run(100_000)).toEqual([[60_500, "suspect"]]);
  });

  test("once everything was received there is nothing to wait for", () => {
    const { evidence, run } = watch({ pingAfterMs: 0 });
    evidence.onWaiting(0);
    evidence.onProgress(false, 100);
    expect(evidence.nextMs()).toBe(Infinity);
    expect(run(100_000)).toEqual([]);
  });

  test("a peer that answers but does not move the data is given the time anew", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(0);
    evidence.onPong(0, 2_000);
    expect(run(20_000)).toEqual([[5_000, "suspect"]]);
  });

  test("links that stall together are suspect at different moments: the time is drawn for each wait", () => {
    const draws = [0.9, 0, 0, 1, 0, 0.25];
    const { evidence, run } = watch({}, () => draws.shift() ?? 0);
    for (const [fromMs, afterMs] of [
      [0, 2_000],
      [100_000, 4_000],
      [200_000, 2_500],
    ] as const) {
      evidence.onHeard(fromMs);
      evidence.onProgress(false, fromMs);
      evidence.onWaiting(fromMs);
      expect(run(fromMs + 10_000)).toEqual([[fromMs + afterMs, "suspect"]]);
    }
  });

  test("a stall is not waited for longer than an answer to a PING", () => {
    const { evidence, run } = watch({ suspectAfterMs: 500 });
    evidence.onWaiting(0);
    expect(run(1_000)).toEqual([[450, "suspect"]]);
  });
});

describe("a suspicion ends", () => {
  test("by progress, once, and the link is watched as before", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(0);
    expect(run(10_000)).toEqual([[3_000, "suspect"]]);
    evidence.onHeard(10_000);
    expect(evidence.onProgress(true, 10_000)).toBe(true);
    expect(evidence.suspect).toBe(false);
    expect(evidence.onProgress(true, 11_000)).toBe(false);
    expect(run(20_000)).toEqual([[14_000, "suspect"]]);
  });

  test("by the PONG to its PING, and the next silence is noticed as well", () => {
    const { evidence, run } = watch();
    expect(run(26_000)).toHaveLength(2);
    evidence.onHeard(26_000);
    expect(evidence.onPong(evidence.pingToken, 26_000)).toBe(true);
    expect(evidence.suspect).toBe(false);
    expect(run(100_000)).toEqual([
      [41_000, "ping"],
      [50_000, "suspect"],
    ]);
  });

  test("by the PONG to an older PING, which times nothing", () => {
    const { evidence, roundTrip, run } = watch();
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
    const older = evidence.pingToken;
    expect(run(25_000)).toEqual([[24_000, "suspect"]]);
    expect(evidence.onPong(older, 26_000)).toBe(true);
    expect(roundTrip.smoothedMs).toBeUndefined();
  });

  test("not by a byte that is heard", () => {
    const { evidence, run } = watch();
    expect(run(25_000)).toHaveLength(2);
    evidence.onHeard(25_001);
    expect(evidence.suspect).toBe(true);
  });
});

describe("asleep", () => {
  test("a tick that comes late asks again instead of suspecting, and gives the answer its whole time", () => {
    const { evidence, run } = watch();
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
    const dueMs = evidence.nextMs();
    expect(dueMs).toBe(24_000);
    const token = evidence.pingToken;
    expect(evidence.check(100_000, dueMs)).toBe("ping");
    expect(evidence.suspect).toBe(false);
    expect(evidence.pingToken).toBe(token + 1);
    expect(run(200_000)).toEqual([[109_000, "suspect"]]);
  });

  test("data in flight while we slept is not held against the peer", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(0);
    expect(evidence.check(50_000, evidence.nextMs())).toBe("ping");
    expect(run(52_999)).toEqual([]);
    expect(run(60_000)).toEqual([[53_000, "suspect"]]);
  });

  test("a tick that is a second late is only late", () => {
    const { evidence } = watch();
    evidence.onWaiting(0);
    expect(evidence.check(4_000, 3_000)).toBe("suspect");
    const slept = watch().evidence;
    slept.onWaiting(0);
    expect(slept.check(4_001, 3_000)).toBe("ping");
  });

  test("a tick that is early finds nothing", () => {
    const { evidence } = watch();
    evidence.onWaiting(0);
    expect(evidence.check(2_999, 2_999)).toBe("nothing");
    expect(evidence.nextMs()).toBe(3_000);
  });

  test("a tick that is early while a PING is unanswered does not ask again, and leaves the answer no more time", () => {
    const { evidence } = watch();
    expect(evidence.check(15_000, 15_000)).toBe("ping");
    const dueMs = evidence.nextMs();
    expect(evidence.check(20_000, 20_000)).toBe("nothing");
    expect([evidence.nextMs(), evidence.pingToken]).toEqual([dueMs, 1]);
  });
});

describe("a slow path", () => {
  test("has four round trips to answer a PING", () => {
    const { roundTrip, run } = watch();
    roundTrip.sample(12_000);
    expect(run(600_000)).toEqual([
      [15_000, "ping"],
      [63_000, "suspect"],
    ]);
  });

  test("has four round trips to make progress", () => {
    const { evidence, roundTrip, run } = watch();
    roundTrip.sample(1_500);
    evidence.onWaiting(0);
    expect(run(10_000)).toEqual([[6_000, "suspect"]]);
  });

  test("has 50 s at the most: what was measured may have been our own sleep", () => {
    const { evidence, roundTrip, run } = watch();
    roundTrip.sample(600_000);
    evidence.onWaiting(0);
    expect(run(600_000).find(([, finding]) => finding === "suspect")).toEqual([50_000, "suspect"]);
  });

  test("is measured by the answers to its PINGs", () => {
    const { evidence, roundTrip, run } = watch();
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
    evidence.onPong(evidence.pingToken, 16_234);
    expect(roundTrip.smoothedMs).toBe(1_234);
    evidence.onPong(evidence.pingToken, 20_000);
    expect(roundTrip.smoothedMs).toBe(1_234);
  });
});
