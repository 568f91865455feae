/** A way goes silent soon after speech, when nothing may be in flight. How late that is noticed, on many links at once. */
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { PORT, serve, UNAVAILABLE } from "./support/conversation.ts";
import { layCable } from "./support/hosts.ts";
import { PeerProcess, type Transition } from "./support/peer-process.ts";

const LINKS = 100;
/** All have spoken by then, and the way is closed within the second in which they did. */
const SPOKEN_WITHIN_MS = 700;
const NOTICED_WITHIN_MS = 5_000;
/** How often they speak before that. */
const ROUNDS = 20;

describe.skipIf(UNAVAILABLE).for(["client", "server"] as const)("nothing reaches the %s any more", (end) => {
  test(`${LINKS} links that have spoken within the last second notice it in 5 s, and are back when it is open`, async () => {
    const noCable = inject("noCable");
    if (noCable !== undefined) throw new Error(noCable.reason);
    await using cable = await layCable();
    const server = await serve(cable.server, "server");
    const role = { role: "client", name: "client", host: cable.server.address, port: PORT, options: {} } as const;
    const client = new PeerProcess(cable.client, { ...role, links: LINKS });
    onTestFinished(() => client.kill());
    await server.times(LINKS, "connected", { reason: "new", from: 0 });
    // Acquainted, so that they stand by, and do not resume. And round trips were long while all connected at once: a path
    // that is slow is given four of them.
    for (let round = 0; round < ROUNDS; round++) {
      await client.order({ order: "speak", withinMs: 100 });
      await client.order({ order: "flush" });
    }
    await lasts(2_000);

    const { now } = client;
    const spokenFromMs = Date.now();
    await client.order({ order: "speak", withinMs: SPOKEN_WITHIN_MS });
    const closedMs = Date.now();
    await cable[end].filter({ in: "meta l4proto tcp counter drop" });
    expect(Date.now() - spokenFromMs).toBeLessThan(1_000);
    await lasts(NOTICED_WITHIN_MS + 1_000);
    const suspected = client.reports.slice(now).filter(isSuspect);
    const noticedMs = suspected.map(({ atMs }) => atMs - closedMs).toSorted((a, b) => a - b);
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => noticedMs[Math.ceil(share * noticedMs.length) - 1]);
    console.log(
      `cable: nothing reaches the ${end}: ${noticedMs.length} silences noticed, p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`,
    );
    expect(noticedMs).toHaveLength(LINKS);
    expect(p99).toBeLessThanOrEqual(NOTICED_WITHIN_MS);

    await cable[end].unfilter();
    await client.order({ order: "speak", withinMs: 0 });
    await client.order({ order: "flush" });
    const sent = (ROUNDS + 2) * LINKS;
    await server.counts("client", sent);
    expect(server.received("client").toSorted((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, n) => n));
  });
});

function isSuspect(report: { is: string }): report is Transition {
  return (
    report.is === "log" && (report as Transition).event === "link.state" && (report as Transition).to === "suspect"
  );
}
