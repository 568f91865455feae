// The connection is cut, and nobody answers those who want a new one: no refusal, no word.
import { describe, expect, test } from "vitest";

import { connect, UNAVAILABLE } from "./support/conversation.ts";
import type { Transition } from "./support/peer-process.ts";

const CONNECT_MS = 400;

describe.skipIf(UNAVAILABLE)("SYNs vanish", () => {
  test("each dial hangs for twice as long as the one before, until one is answered", async () => {
    const talk = await connect({ timeouts: { connectMs: CONNECT_MS } });
    const from = talk.client.now;
    talk.did("cut");
    await talk.cable.server.filter({
      in: "tcp flags & (syn|ack) == syn counter drop\ntcp flags & syn == 0 reject with tcp reset",
    });
    await talk.talk();
    await talk.client.times(3, "reconnecting", { reason: "TIMED_OUT", from });
    expect(await talk.cable.server.struck()).toBeGreaterThanOrEqual(3);
    talk.did("SYNs are answered");
    await talk.cable.server.unfilter();
    await talk.client.becomes("connected", { from });
    await talk.isHeard();
    const states = await talk.finish();
    expect(states.client.slice(0, 7)).toEqual([
      "reconnecting (ECONNRESET)",
      "connecting (ECONNRESET)",
      "reconnecting (TIMED_OUT)",
      "connecting (ECONNRESET)",
      "reconnecting (TIMED_OUT)",
      "connecting (ECONNRESET)",
      "reconnecting (TIMED_OUT)",
    ]);
    expect(states.client.at(-1)).toBe("connected (resumed)");
    expect(states.server).toEqual([]);
    const [first = 0, second = 0, third = 0] = hangingMs(talk.client.transitions);
    expect(first).toBeGreaterThan(0.9 * CONNECT_MS);
    expect(second).toBeGreaterThan(1.9 * CONNECT_MS);
    expect(third).toBeGreaterThan(3.9 * CONNECT_MS);
  });
});

/** How long each dial took that timed out. */
function hangingMs(transitions: Transition[]): number[] {
  return transitions.flatMap(({ to, reason, atMs }, n) =>
    to === "reconnecting" && reason === "TIMED_OUT" ? [atMs - (transitions[n - 1]?.atMs ?? atMs)] : [],
  );
}
