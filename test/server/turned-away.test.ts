import { expect, test } from "vitest";
import { TurnedAway } from "../../src/server/turned-away.ts";

test("counts for good, and speaks of the last ten seconds", () => {
  const turnedAway = new TurnedAway();
  expect([turnedAway.counts, turnedAway.total, turnedAway.reasons(0)]).toEqual([{}, 0, []]);
  turnedAway.add("connections", 1_000);
  turnedAway.add("sessions", 5_000);
  turnedAway.add("connections", 6_000);
  expect(turnedAway.counts).toEqual({ connections: 2, sessions: 1 });
  expect(turnedAway.total).toBe(3);
  expect(turnedAway.reasons(14_999)).toEqual([
    "limits.connections turns clients away: 2 so far",
    "limits.sessions turns clients away: 1 so far",
  ]);
  expect(turnedAway.reasons(15_999)).toEqual(["limits.connections turns clients away: 2 so far"]);
  expect(turnedAway.reasons(16_000)).toEqual([]);
});
