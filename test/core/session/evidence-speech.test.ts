/** After speech a client asks soon, and then less and less often. */
import { describe, expect, test } from "vitest";
import type { EvidenceOptions } from "../../../src/core/session/evidence.ts";
import { type Watch, watch } from "./watching.ts";

const AFTER_SPEECH = [1_000, 2_000, 4_000, 8_000];

/** A client, as users have it. */
function client(options: Partial<EvidenceOptions> = {}, random?: () => number): Watch {
  return watch({ suspectAfterMs: 5_000, pingAfterSpeechMs: AFTER_SPEECH, ...options }, random);
}

/** When it asked, while each PING is answered at once. */
function askedUntil({ evidence, run }: Watch, untilMs: number): number[] {
  const asked: number[] = [];
  while (evidence.nextMs() <= untilMs) {
    const nowMs = evidence.nextMs();
    for (const [ms, finding] of run(nowMs)) {
      expect(finding).toBe("ping");
      asked.push(ms);
      if (asked.length > 100) throw new Error("asks without end");
      evidence.onHeard(ms);
      evidence.onPong(evidence.pingToken, ms);
    }
  }
  return asked;
}

describe("when it asks", () => {
  test("a second after the last DATA, then after 2, 4 and 8 s, then as often as before; a tenth on top on average", () => {
    const watched = client();
    watched.evidence.onSpoken(500);
    expect(askedUntil(watched, 62_100)).toEqual([1_600, 3_800, 8_200, 17_000, 32_000, 47_000, 62_000]);
  });

  test("without speech only as often as before", () => {
    expect(askedUntil(client(), 45_000)).toEqual([15_000, 30_000, 45_000]);
  });

  test("anew after each DATA, however far it had come", () => {
    const watched = client();
    const { evidence } = watched;
    evidence.onSpoken(0);
    expect(askedUntil(watched, 8_000)).toEqual([1_100, 3_300, 7_700]);
    evidence.onSpoken(8_000);
    expect(askedUntil(watched, 11_400)).toEqual([9_100, 11_300]);
    evidence.onSpoken(100_000);
    expect(evidence.nextMs()).toBe(26_300);
  });

  test("not while DATA moves: only its time is noted, and the timer that is set finds out", () => {
    const watched = client();
    const { evidence, run } = watched;
    expect(evidence.onSpoken(100)).toBe(true);
    for (let ms = 200; ms <= 9_000; ms += 100) {
      expect(evidence.onSpoken(ms)).toBe(false);
      expect(run(ms)).toEqual([]);
    }
    expect(askedUntil(watched, 12_400)).toEqual([10_100, 12_300]);
  });

  test("later for nothing but DATA: what else arrives follows from it, or from silence", () => {
    const watched = client();
    const { evidence } = watched;
    evidence.onSpoken(0);
    evidence.onHeard(1_050);
    evidence.onProgress(false, 1_060);
    evidence.onPong(0, 1_070);
    expect(askedUntil(watched, 1_200)).toEqual([1_100]);
  });

  test("never later than pingAfterMs says", () => {
    const watched = client({ pingAfterMs: 3_000 });
    watched.evidence.onSpoken(0);
    expect(askedUntil(watched, 12_400)).toEqual([1_100, 3_300, 6_300, 9_300, 12_300]);
    const hasty = client({ pingAfterMs: 700 });
    hasty.evidence.onSpoken(0);
    expect(askedUntil(hasty, 2_000)).toEqual([700, 1_100, 1_800]);
    // Only one way is proven: that of what is heard.
    const listening = client();
    for (let ms = 0; ms <= 14_900; ms += 100) {
      listening.evidence.onHeard(ms);
      listening.evidence.onSpoken(ms);
    }
    expect(listening.run(15_500)).toEqual([[15_000, "ping"]]);
  });

  test("never with keepalive off", () => {
    const { evidence, run } = client({ pingAfterMs: 0 });
    evidence.onSpoken(0);
    expect(evidence.nextMs()).toBe(Infinity);
    expect(run(1_000_000)).toEqual([]);
    expect(evidence.check(1_000_000, 1_000_000)).toBe("nothing");
  });

  test("never earlier at a server, whose speech brings nothing forward", () => {
    const watched = watch();
    expect(watched.evidence.onSpoken(0)).toBe(false);
    expect(watched.run(60_000)).toEqual([
      [15_000, "ping"],
      [24_000, "suspect"],
    ]);
  });

  test("not twice: a PING that is under way when DATA moves is answered first", () => {
    const watched = client();
    const { evidence, run } = watched;
    expect(run(15_000)).toEqual([[15_000, "ping"]]);
    evidence.onSpoken(15_010);
    expect(run(17_000)).toEqual([]);
    evidence.onHeard(17_000);
    evidence.onPong(evidence.pingToken, 17_000);
    expect(evidence.nextMs()).toBe(16_110);
    expect(askedUntil(watched, 19_200)).toEqual([16_110, 18_310]);
  });

  test("a PING for another reason does not stand for the first one after speech", () => {
    const watched = client();
    const { evidence } = watched;
    evidence.onSpoken(14_500);
    expect(askedUntil(watched, 18_000)).toEqual([15_000, 15_600, 17_800]);
  });
});

describe("how long it waits", () => {
  test("for the first answer as for data in flight, for each other as for any answer", () => {
    const first = client();
    first.evidence.onSpoken(0);
    expect(first.run(60_000)).toEqual([
      [1_100, "ping"],
      [4_100, "suspect"],
    ]);
    const later = client();
    later.evidence.onSpoken(0);
    expect(askedUntil(later, 1_100)).toEqual([1_100]);
    expect(later.run(60_000)).toEqual([
      [3_300, "ping"],
      [7_800, "suspect"],
    ]);
  });

  test("as for data in flight, too, where pingAfterMs has asked right after speech", () => {
    const { evidence, run } = client();
    evidence.onSpoken(14_500);
    expect(run(60_000)).toEqual([
      [15_000, "ping"],
      [18_000, "suspect"],
    ]);
  });

  test("no longer than suspectAfterMs", () => {
    const { evidence, run } = client({ suspectAfterMs: 1_000 });
    evidence.onSpoken(0);
    expect(run(60_000)).toEqual([
      [1_100, "ping"],
      [2_000, "suspect"],
    ]);
  });

  test("four round trips on a slow path", () => {
    const { evidence, roundTrip, run } = client();
    roundTrip.sample(2_000);
    evidence.onSpoken(0);
    expect(run(60_000)).toEqual([
      [1_100, "ping"],
      [9_100, "suspect"],
    ]);
  });

  test("links that spoke at the same moment ask, and suspect, at moments of their own, within 5 s", () => {
    const links = Array.from({ length: 1_000 }, (_, n) => {
      const { evidence, run } = client({}, () => n / 1_000);
      evidence.onSpoken(0);
      return run(60_000).map(([ms]) => ms) as [askedMs: number, suspectMs: number];
    });
    expect(
      mostIn(
        links.map(([askedMs]) => askedMs),
        1_000,
        1_200,
      ),
    ).toBeLessThanOrEqual(101);
    expect(
      mostIn(
        links.map(([, suspectMs]) => suspectMs),
        3_200,
        5_000,
      ),
    ).toBeLessThanOrEqual(101);
  });

  test("the further they ask, the further they are apart", () => {
    const [earliest = [], latest = []] = [0, 1].map((drawn) => {
      const watched = client({}, () => drawn);
      watched.evidence.onSpoken(0);
      return askedUntil(watched, 34_000);
    });
    expect(earliest).toEqual([1_000, 3_000, 7_000, 15_000, 30_000]);
    expect(latest).toEqual([1_200, 3_600, 8_400, 18_000, 33_000]);
  });

  test("who spoke again draws again", () => {
    const draws = [0, 0, 1];
    const watched = client({}, () => draws.shift() ?? 0);
    watched.evidence.onSpoken(0);
    expect(askedUntil(watched, 1_000)).toEqual([1_000]);
    watched.evidence.onSpoken(2_000);
    expect(askedUntil(watched, 3_200)).toEqual([3_200]);
  });
});

describe("what comes between", () => {
  test("a suspicion, whose PING counts as well: nobody asks until it ends", () => {
    const watched = client();
    const { evidence, run } = watched;
    evidence.onSpoken(0);
    expect(run(20_000).at(-1)).toEqual([4_100, "suspect"]);
    evidence.onHeard(20_000);
    expect(evidence.onPong(evidence.pingToken, 20_000)).toBe(true);
    expect(askedUntil(watched, 34_000)).toEqual([24_400, 33_200]);
  });

  test("sleep: one PING, which is the first after speech if that was due, and its whole time for the answer", () => {
    const { evidence, run } = client();
    evidence.onSpoken(0);
    const dueMs = evidence.nextMs();
    expect(evidence.check(100_000, dueMs)).toBe("ping");
    expect(run(102_999)).toEqual([]);
    evidence.onHeard(102_999);
    evidence.onPong(evidence.pingToken, 102_999);
    expect(evidence.nextMs()).toBe(102_999 + 2_200);
  });

  describe("proof that is no answer to the PING", () => {
    function asked() {
      const watched = client();
      expect(watched.evidence.isAsking).toBe(false);
      watched.evidence.onSpoken(0);
      expect(watched.run(1_100)).toEqual([[1_100, "ping"]]);
      expect([watched.evidence.isAsking, watched.evidence.nextMs()]).toEqual([true, 4_100]);
      watched.evidence.onHeard(1_200);
      return watched;
    }

    test("the last data in flight has arrived: the PING behind it has its whole time from now on", () => {
      const { evidence, run } = asked();
      evidence.onProgress(false, 1_200);
      expect([evidence.isAsking, evidence.nextMs()]).toEqual([true, 4_200]);
      expect(run(60_000).at(0)).toEqual([4_200, "suspect"]);
    });

    test("so has one behind an older PING that is answered", () => {
      const { evidence } = asked();
      evidence.onPong(evidence.pingToken - 1, 1_200);
      expect([evidence.isAsking, evidence.nextMs()]).toEqual([true, 4_200]);
      evidence.onHeard(1_300);
      evidence.onPong(evidence.pingToken, 1_300);
      expect([evidence.isAsking, evidence.nextMs()]).toEqual([false, 3_500]);
    });

    test("that time is not added up", () => {
      const { evidence } = asked();
      evidence.onProgress(false, 1_200);
      evidence.onPong(evidence.pingToken - 1, 1_300);
      expect(evidence.nextMs()).toBe(4_300);
    });

    test("behind data that is still in flight it is not awaited: the data is", () => {
      const { evidence, run } = asked();
      evidence.onProgress(true, 1_200);
      expect(evidence.isAsking).toBe(false);
      expect(run(3_399)).toEqual([]);
      expect(run(3_400)).toEqual([[3_400, "ping"]]);
    });
  });

  test("a tick that is early finds nothing", () => {
    const { evidence } = client();
    evidence.onSpoken(0);
    expect(evidence.check(1_099, 1_099)).toBe("nothing");
    expect([evidence.nextMs(), evidence.pingToken]).toEqual([1_100, 0]);
  });
});

/** The most of them that fall into one of ten equal parts of what lies between; fails if any lies outside. */
function mostIn(times: readonly number[], fromMs: number, toMs: number): number {
  const parts = new Map<number, number>();
  for (const ms of times) {
    expect(ms).toBeGreaterThanOrEqual(fromMs);
    expect(ms).toBeLessThanOrEqual(toMs);
    const part = Math.floor((10 * (ms - fromMs)) / (toMs - fromMs));
    parts.set(part, (parts.get(part) ?? 0) + 1);
  }
  return Math.max(...parts.values());
}
