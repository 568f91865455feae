/** Evidence under a clock that only the test moves. */
import { Evidence, type EvidenceOptions } from "../../../src/core/session/evidence.ts";
import { RoundTrip } from "../../../src/core/log/window.ts";

const OPTIONS: EvidenceOptions = {
  pingAfterMs: 15_000,
  suspectAfterMs: 10_000,
  stalledAfterMs: [2_000, 4_000],
  pingAfterSpeechMs: [],
};

export interface Watch {
  evidence: Evidence;
  roundTrip: RoundTrip;
  run: (untilMs: number) => Array<[ms: number, finding: string]>;
}

/** Evidence from time 0 on, and a driver that wakes exactly when asked to; it answers what each wake-up found. */
export function watch(options: Partial<EvidenceOptions> = {}, random: () => number = () => 0.5): Watch {
  const roundTrip = new RoundTrip();
  const evidence = new Evidence({ ...OPTIONS, ...options }, roundTrip, { random }, 0);
  const run = (untilMs: number): Array<[number, string]> => {
    const findings: Array<[number, string]> = [];
    for (let wakeUps = 0; evidence.nextMs() <= untilMs; wakeUps++) {
      if (wakeUps > 100) throw new Error("wakes up without end");
      const dueMs = evidence.nextMs();
      const finding = evidence.check(dueMs, dueMs);
      if (finding !== "nothing") findings.push([dueMs, finding]);
    }
    return findings;
  };
  return { evidence, roundTrip, run };
}
