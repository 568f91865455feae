/** What links cost on which nothing happens. */
import { setTimeout as sleep } from "node:timers/promises";
import { descriptorsFor } from "./descriptors.ts";
import type { IdleCommands } from "./idle-worker.ts";
import type { Scenario } from "./scenario.ts";

const RSS = "5,000 idle links, RSS a link on the server";
const CPU = "5,000 idle links, CPU of the server";
const LINKS = 5_000;
/** Opened before it is measured: until then memory grows for other reasons (compiled code, the young generation). */
const BEFORE = 1_000;
/** A client pings after 15 s of silence: longer than that, so that each link has done so. */
const WATCHED_MS = 20_000;

export const idle: Scenario = {
  name: "5,000 idle links",
  rows: [RSS, CPU],
  sides: ["ours", "reference"],
  roundsMax: 1,
  async measure(side, crew, { wants }) {
    const links = descriptorsFor(LINKS + BEFORE, 1) - BEFORE;
    const server = crew.start<IdleCommands>("idle-worker.ts", "server", side, { exposeGc: true });
    const client = crew.start<IdleCommands>("idle-worker.ts", "client", side);
    const port = await server.call("listen");
    await client.call("open", { port, conversations: BEFORE });
    const before = await server.call("settle");
    await client.call("open", { port, conversations: links });
    const after = await server.call("settle");
    const rss = (after.rssBytes - before.rssBytes) / links;
    if (side === "reference" || !wants(CPU)) return { [RSS]: rss };

    const start = await server.call("sample");
    await sleep(WATCHED_MS);
    const end = await server.call("sample");
    const cpu = (end.cpuUs - start.cpuUs) / (1_000 * (end.atMs - start.atMs));
    return { [RSS]: rss, [CPU]: (100 * cpu * LINKS) / (links + BEFORE) };
  },
};
