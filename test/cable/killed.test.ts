// The server dies and another one takes its place while nobody can tell the client: it has to find out by itself, and
// nothing that the first one may have accepted goes to the second one.
import { describe, expect, test } from "vitest";

import { converse, KNOWS_NOBODY, serve, told, UNAVAILABLE, WATCHFUL } from "./support/conversation.ts";
import type { PeerProcess } from "./support/peer-process.ts";

describe.skipIf(UNAVAILABLE)("killed and started again while the cable is out", () => {
  test.for([
    ["its kernel tells, once it can be reached", false, /^reconnecting \((ECONNRESET|closed by the peer)\)$/u],
    ["nobody ever tells", true, /^reconnecting \(silent, and unknown to whom answers\)$/u],
  ] as const)("%s: the session is lost, and what is in doubt comes back", async ([, silent, reason]) => {
    const talk = await converse({ keepalive: WATCHFUL });
    const { client, cable } = talk;
    const first = talk.server;
    const suspect = client.becomes("suspect");
    talk.did("pulled");
    await cable.server.pull();
    const { sent } = await client.order({ order: "send", count: 20 });
    await suspect;
    await first.kill();
    const second = (talk.server = await serve(cable.server, "second"));
    if (silent) await cable.client.filter({ in: KNOWS_NOBODY, out: KNOWS_NOBODY });
    const lost = client.becomes("connected", { reason: "session-lost" });
    talk.did("killed, started again, and plugged in");
    await cable.server.plug();
    await lost;
    await second.until("a message", (report) => report.is === "received");
    const all = (await client.order({ order: "rest" })).sent;
    await second.order({ order: "send", count: 20 });
    await Promise.all([second.has("client", all), client.has("second", 20)]);
    const states = client.transitions.slice(2).map(told);
    await Promise.all([client.order({ order: "finish" }), second.order({ order: "finish" })]);

    const returned = returnedTo(client);
    const firstHas = first.received("client");
    const secondHas = second.received("client");
    expect(returned.length).toBeGreaterThanOrEqual(20);
    expect(returned).toContain(sent - 1);
    // Each one exactly once in order with the first, then in doubt, then exactly once in order with the second.
    expect(firstHas).toEqual(range(0, firstHas.length));
    expect(returned).toEqual(range(returned[0] ?? 0, all - secondHas.length));
    expect(returned[0]).toBeLessThanOrEqual(firstHas.length);
    expect(secondHas).toEqual(range(all - secondHas.length, all));
    expect(client.received("server")).toEqual(range(0, client.received("server").length));
    expect(client.received("second")).toEqual(range(0, 20));
    expect(client.reports).toContainEqual(
      expect.objectContaining({ event: "link.undelivered", reason: "session-lost", maybe: returned.length }),
    );
    expect(states[0]).toBe("suspect (no evidence)");
    expect(states).toContainEqual(expect.stringMatching(reason));
    expect(states.at(-1)).toBe("connected (session-lost)");
  });
});

/** The messages that the link has given back; all of them in doubt. */
function returnedTo(client: PeerProcess): number[] {
  return client.reports.flatMap((report) => {
    if (report.is !== "returned") return [];
    expect(report).toMatchObject({ reason: "session-lost", delivery: "maybe" });
    return report.numbers;
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}
