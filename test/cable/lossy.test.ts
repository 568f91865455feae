// Packets are lost now and then. TCP repeats them, later and later; nobody must lose patience for that.
import { describe, expect, test } from "vitest";

import { converse, expectSilences, UNAVAILABLE } from "./support/conversation.ts";

const MESSAGES = 1_000;
const LOSES_A_FIFTH = "meta l4proto tcp numgen random mod 100 < 20 counter drop";

describe.skipIf(UNAVAILABLE)("a fifth of all packets is lost", () => {
  test.for([
    ["both ways", ["client", "server"]],
    ["on the way to the client", ["client"]],
    ["on the way to the server", ["server"]],
  ] as const)("%s: all arrives, and the connection is not given up", async ([, ends]) => {
    const talk = await converse();
    talk.did("losing");
    for (const end of ends) await talk.cable[end].filter({ in: LOSES_A_FIFTH });
    await Promise.all([
      talk.client.order({ order: "send", count: MESSAGES }),
      talk.server.order({ order: "send", count: MESSAGES }),
    ]);
    const states = await talk.finish();
    for (const end of ends) {
      const lost = await talk.cable[end].struck();
      talk.did(`${lost} packets to the ${end} were lost`);
      expect(lost).toBeGreaterThan(50);
    }
    // A packet may be lost so often that its link suspects the worst; then another connection carries on, or the first.
    expect(states.client.filter((state) => !/^(suspect|connected)/u.test(state))).toEqual([]);
    expectSilences(states.server, 0);
  });
});
