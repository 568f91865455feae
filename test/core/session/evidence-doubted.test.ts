/** ping(): the application doubts the path, and the peer is asked at once. */
import { describe, expect, test } from "vitest";
import { watch } from "./watching.ts";

describe("a link that is asked for a sign of life", () => {
  test("sends a PING at once, and awaits the answer as long as progress of data in flight", () => {
    const { evidence, run } = watch();
    expect([evidence.onDoubted(7_000), evidence.pingToken]).toEqual([true, 1]);
    expect(run(600_000)).toEqual([[10_000, "suspect"]]);
  });

  test("is silent for its whole time again once the answer has come", () => {
    const { evidence, run } = watch();
    evidence.onDoubted(7_000);
    evidence.onHeard(7_100);
    expect(evidence.onPong(evidence.pingToken, 7_100)).toBe(false);
    expect(run(60_000)).toEqual([
      [22_100, "ping"],
      [31_100, "suspect"],
    ]);
  });

  test("sends no second PING while one is unanswered, and awaits the first one for less long from now on", () => {
    const { evidence, run } = watch();
    expect(run(16_000)).toEqual([[15_000, "ping"]]);
    expect([evidence.onDoubted(16_000), evidence.pingToken]).toEqual([false, 1]);
    expect(run(60_000)).toEqual([[19_000, "suspect"]]);
  });

  test("never awaits an answer for longer than before", () => {
    const { evidence, run } = watch();
    run(15_000);
    expect(evidence.onDoubted(23_500)).toBe(false);
    expect(run(60_000)).toEqual([[24_000, "suspect"]]);
  });

  test("however often it is asked, the time stays as it was drawn", () => {
    let drawn = 0.5;
    const { evidence, run } = watch({}, () => drawn);
    evidence.onDoubted(1_000);
    for (drawn = 0; drawn < 1; drawn += 0.01) expect(evidence.onDoubted(1_000 + 2_000 * drawn)).toBe(false);
    expect(run(60_000)).toEqual([[4_000, "suspect"]]);
  });

  test("is asked nothing more while it is suspect, and recovers as ever", () => {
    const { evidence, run } = watch();
    evidence.onDoubted(0);
    expect(run(60_000)).toEqual([[3_000, "suspect"]]);
    expect([evidence.onDoubted(60_000), evidence.pingToken]).toEqual([false, 2]);
    expect(run(120_000)).toEqual([]);
    evidence.onHeard(120_000);
    expect(evidence.onPong(2, 120_000)).toBe(true);
    expect(run(135_000)).toEqual([[135_000, "ping"]]);
  });

  test("with keepalive off, too; the answer leaves nothing to wait for", () => {
    const { evidence, run } = watch({ pingAfterMs: 0 });
    expect(evidence.onDoubted(100)).toBe(true);
    expect(evidence.nextMs()).toBe(3_100);
    evidence.onPong(evidence.pingToken, 200);
    expect(evidence.nextMs()).toBe(Infinity);
    expect(evidence.onDoubted(300)).toBe(true);
    expect(run(60_000)).toEqual([[3_300, "suspect"]]);
  });

  test("a link that suspects sooner does so here", () => {
    const { evidence, run } = watch({ suspectAfterMs: 1_000 });
    evidence.onDoubted(0);
    expect(run(60_000)).toEqual([[900, "suspect"]]);
  });

  test("a slow path is given four round trips", () => {
    const { evidence, roundTrip, run } = watch();
    roundTrip.sample(2_000);
    evidence.onDoubted(0);
    expect(run(60_000)).toEqual([[8_000, "suspect"]]);
  });

  test("data that is in flight behind it has no more time than it had", () => {
    const { evidence, run } = watch();
    evidence.onWaiting(0);
    expect(evidence.onDoubted(1_000)).toBe(true);
    expect(run(60_000)).toEqual([[3_000, "suspect"]]);
  });

  test("the answer counts from the last proof: the PING may stand behind data that arrives first", () => {
    const { evidence, run } = watch();
    evidence.onDoubted(0);
    evidence.onProgress(false, 1_000);
    expect(run(60_000)).toEqual([[4_000, "suspect"]]);
  });

  test("a process that was asleep asks once more, and gives the answer its time", () => {
    const { evidence, run } = watch();
    evidence.onDoubted(0);
    expect(evidence.check(90_000, evidence.nextMs())).toBe("ping");
    expect(run(98_999)).toEqual([]);
    expect(run(99_000)).toEqual([[99_000, "suspect"]]);
  });

  test("right after speech it is asked again when that is due", () => {
    const { evidence, run } = watch({ pingAfterSpeechMs: [1_000, 2_000] });
    evidence.onSpoken(0);
    expect(evidence.onDoubted(500)).toBe(true);
    evidence.onHeard(510);
    evidence.onPong(evidence.pingToken, 510);
    expect(run(1_100)).toEqual([[1_100, "ping"]]);
  });
});

describe("a thousand links that are asked in one turn suspect at moments of their own", () => {
  /** How many of them suspect in each tenth of the two seconds that begin 2 s after they were asked. */
  function suspectedByTenths(links: ReadonlyArray<ReturnType<typeof watch>>, askedMs: number): number[] {
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const { evidence, run } of links) {
      evidence.onDoubted(askedMs);
      const [ms, finding] = run(askedMs + 4_000).at(-1) ?? [];
      expect(finding).toBe("suspect");
      const tenth = Math.min(9, Math.floor(((ms ?? NaN) - askedMs - 2_000) / 200));
      tenths[tenth] = (tenths[tenth] ?? NaN) + 1;
    }
    return tenths;
  }

  test("where none was asking", () => {
    const links = Array.from({ length: 1_000 }, (_, n) => watch({}, () => (n + 0.5) / 1_000));
    expect(suspectedByTenths(links, 5_000)).toEqual(Array.from({ length: 10 }, () => 100));
  });

  test("where all had been asking for a while", () => {
    const links = Array.from({ length: 1_000 }, (_, n) => watch({}, () => (n + 0.5) / 1_000));
    for (const { run } of links) expect(run(18_900)).toEqual([[15_000, "ping"]]);
    expect(suspectedByTenths(links, 18_900)).toEqual(Array.from({ length: 10 }, () => 100));
  });
});
