/** A thousand links of one manager whose server is killed, and comes back; or only closes what it has accepted. */
import { setTimeout as sleep } from "node:timers/promises";

import type { Crew, Worker } from "./crew.ts";
import type { HerdCommands, HerdTerms } from "./herd-worker.ts";
import { histogram } from "./histogram.ts";
import type { RowName } from "./rows.ts";
import type { Scenario } from "./scenario.ts";
import { mostWithin } from "./statistics.ts";
import { monotonicMs } from "./worker.ts";

export type HerdProtocol = HerdTerms["protocol"];

export interface Restart {
  /** Of all links since the server was killed, at least one of each. */
  dials: number;
  /** The most of these within a second. */
  busiestSecond: number;
  /** From when the server listened again until the last link was connected. */
  allBackMs: number;
  /** Both histograms. */
  charts: string;
}

const LINKS = 1_000;
export const LIFTED = { maxDialsInFlight: 1_000_000, maxDialsPerSecond: 1_000_000 } as const;
/** With more of them a busy machine takes half a second to close a connection, and then that is no closing at once. */
export const LIFTED_LINKS = 100;
const REST_MS = 1_000;
const OUTAGE_MS = 2_000;
/** When dials are counted, from when the server began to close. By then a link has used up its quick retries. */
const CLOSING = { countedFromMs: 10_000, countedUntilMs: 20_000 } as const;
const BIN_MS = 100;

export const herd: readonly Scenario[] = (["durable", "plain"] as const).map((protocol) => {
  const busiest: RowName = `herd, 1,000 ${protocol} links, server away for 2 s, dials in the busiest second`;
  const back: RowName = `herd, 1,000 ${protocol} links, server away for 2 s, all back after`;
  const closed: RowName = `herd, 100 ${protocol} links, dial limits lifted, server accepts and closes, dials a link from 10 to 20 s`;
  return {
    name: `herd, ${protocol} links`,
    rows: [busiest, back, closed],
    sides: ["ours"],
    roundsMax: 1,
    async measure(_side, crew, { show }) {
      const { busiestSecond, allBackMs, charts } = await restart(crew, LINKS, protocol);
      show(charts);
      return {
        [busiest]: busiestSecond,
        [back]: allBackMs / 1_000,
        [closed]: await dialsOfClosed(crew, LIFTED_LINKS, { protocol, manager: LIFTED }),
      };
    },
  };
});

/**
 * Links with default limits; the server's process is killed, and another one listens 2 s later. Throws if fewer dials
 * than links were counted.
 */
export async function restart(crew: Crew, links: number, protocol: HerdProtocol): Promise<Restart> {
  const { server, next, client, port } = await atRest(crew, links, { protocol, manager: {} });
  const killedMs = monotonicMs();
  await server.kill();
  await sleep(OUTAGE_MS - (monotonicMs() - killedMs));
  await next.call("serve", port);
  const returnMs = monotonicMs();
  const backMs = await client.call("back");
  const dialsMs = await client.call("dials");
  // All links have come back. If their dials are fewer, not all were counted, and no figure of them says anything.
  if (dialsMs.length < links) throw new Error(`${dialsMs.length} dials of ${links} links that have come back`);
  const afterMs = dialsMs.map((ms) => ms - killedMs);
  const tookMs = backMs.map((ms) => ms - returnMs);
  const title = `${backMs.length} ${protocol} links`;
  const charts = [
    `${title}: dials in each ${BIN_MS} ms after the server was killed; it was back after ${Math.round(returnMs - killedMs)} ms`,
    histogram(afterMs, BIN_MS),
    `${title}: links that were connected again in each ${BIN_MS} ms after the server was back`,
    histogram(tookMs, BIN_MS),
  ];
  return {
    dials: dialsMs.length,
    busiestSecond: mostWithin(dialsMs, 1_000),
    allBackMs: Math.max(...tookMs),
    charts: `${charts.join("\n")}\n`,
  };
}

/**
 * Dials of a link, on average, from 10 to 20 s after its server began to close all connections at once. Throws if there
 * were none: a link never stops dialling.
 */
export async function dialsOfClosed(crew: Crew, links: number, terms: HerdTerms): Promise<number> {
  const { server, next, client, port } = await atRest(crew, links, terms);
  await server.kill();
  await next.call("acceptAndClose", port);
  await sleep(CLOSING.countedFromMs);
  await client.call("dials");
  await sleep(CLOSING.countedUntilMs - CLOSING.countedFromMs);
  const dials = (await client.call("dials")).length;
  if (dials === 0) throw new Error(`no dial of ${links} links in ${CLOSING.countedUntilMs - CLOSING.countedFromMs} ms`);
  return dials / links;
}

type Herder = Worker<HerdCommands>;

/** All links are connected, and no dial is under way. `next`: a second server, which does not listen yet. */
async function atRest(
  crew: Crew,
  links: number,
  terms: HerdTerms,
): Promise<{ server: Herder; next: Herder; client: Herder; port: number }> {
  const server = crew.start<HerdCommands>("herd-worker.ts", "server", terms);
  const next = crew.start<HerdCommands>("herd-worker.ts", "next server", terms);
  const client = crew.start<HerdCommands>("herd-worker.ts", "client", terms);
  const port = await server.call("serve", 0);
  await client.call("open", { port, links });
  await sleep(REST_MS);
  await client.call("dials");
  return { server, next, client, port };
}
