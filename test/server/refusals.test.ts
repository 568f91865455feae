import { expect, test } from "vitest";
import { Refusals } from "../../src/server/refusals.ts";
import { Journal } from "../../src/telemetry/journal.ts";

const SAID = { sessionId: "", remoteAddress: "::1", retryAfterMs: 5 };

test("refusals are counted by code and by reason, but not by what a client or the application has said", () => {
  const refusals = new Refusals(new Journal());
  refusals.refused({ ...SAID, code: "overloaded", reason: "too many opens" });
  refusals.refused({ ...SAID, code: "overloaded", reason: "too many resumes" });
  refusals.turnAway("connections", "too many connections", "::1", 1_000);
  for (let n = 0; n < 100; n++) {
    refusals.refused({ ...SAID, code: "authentication", reason: `text ${n}` });
    refusals.refused({ ...SAID, code: "mismatch", reason: `version ${n}` });
  }
  expect(refusals.counts()).toEqual({
    refused: { overloaded: 3, authentication: 100, mismatch: 100 },
    refusedFor: {
      "too many opens": 1,
      "too many resumes": 1,
      "too many connections": 1,
      authentication: 100,
      mismatch: 100,
    },
    turnedAway: { connections: 1 },
    rejected: {},
  });
});
