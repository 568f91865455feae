/** A process that may have 256 descriptors, 1,000 clients, and an application that opens files all the time. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../../src/index.ts";
import { RESERVED } from "../../src/io/resources/reserve.ts";
import { Child } from "../endurance/child.ts";
import type { CrowdCommands } from "./crowd.ts";
import type { DescriptorsCommands } from "./descriptors-server.ts";
import type { OverloadScenario, OverloadStage } from "./stage.ts";

const DESCRIPTORS = 256;
const CLIENTS = 1_000;
const LOOPS = 4;
/** A client that has not said HELLO takes a descriptor, and can be told nothing: all at once would be too many. */
const DIALS = { maxDialsPerSecond: 100, maxDialsInFlight: 100 } as const;
/** Links that were admitted before the crowd came, and are asked all the time: seldom, so that little of the busiest second is theirs. */
const ADMITTED = 28;
const ASKED_EVERY_MS = 200;
/** So many of those that were refused want to be back when it is over. */
const BACK = 100;
const WHOLE_AFTER_MS = 5_000;

export const DESCRIPTORS_ROW: readonly OverloadScenario[] = [
  { name: "descriptors", about: "256 descriptors, 1,000 clients, and four loops that open files", run },
];

async function run(stage: OverloadStage): Promise<void> {
  // Node raises the soft limit to the hard one: both are set, by a shell.
  const limited = join(stage.folder, "limited");
  writeFileSync(limited, `#!/bin/sh\nulimit -n ${DESCRIPTORS}\nexec ${JSON.stringify(process.execPath)} "$@"\n`);
  chmodSync(limited, 0o755);
  const server = new Child<DescriptorsCommands>(
    new URL("descriptors-server.ts", import.meta.url),
    "server",
    {},
    limited,
  );
  const crowd = new Child<CrowdCommands>(new URL("crowd.ts", import.meta.url), "crowd");
  stage.onClose(() => Promise.all([server.stop(), crowd.stop()]));
  const port = await server.call("listen");
  const links = await stage.clients(port, ADMITTED);
  const forMs = stage.scaled(15_000, 8_000);
  const quietMs = await p99(links, forMs);

  const quietPercent = await server.call("busiestPercent");
  await server.call("openFiles", LOOPS);
  await crowd.call("dial", { port, number: CLIENTS, managers: 1, options: DIALS });
  const crowdedMs = await p99(links, forMs);
  const percent = await server.call("busiestPercent");
  const admitted = await crowd.call("connected");
  const { OVERLOADED: refused = 0, "without a time": untimed = 0, ...others } = await crowd.call("failures");
  const uncoded = Object.values(others).reduce((sum, number) => sum + number, 0);

  await server.call("still");
  await crowd.call("thin", BACK);
  await sleep(WHOLE_AFTER_MS);
  const reserve = await server.call("reserve");
  await server.call("recovered");
  const back = await crowd.call("back");
  const late = back.map(({ tookMs, toldMs }) => tookMs - 1.1 * toldMs);

  stage.row({
    what: "busiest second",
    figure: percent,
    bound: 20,
    unit: "%",
    note: `before: ${quietPercent.toFixed(1)} %`,
  });
  stage.row({
    what: "p99 of those admitted, against quiet",
    figure: crowdedMs / quietMs,
    bound: 2,
    unit: "",
    note: `${quietMs.toFixed(1)} ms, then ${crowdedMs.toFixed(1)} ms`,
  });
  stage.row({
    what: "attempts that failed without a code",
    figure: (100 * uncoded) / (refused + uncoded),
    bound: 1,
    unit: "%",
    note: `${admitted} admitted, ${refused} refused, ${JSON.stringify(others)}`,
  });
  stage.row({ what: "refusals without a time", figure: untimed, bound: 0, unit: "" });
  stage.row({ what: "longer than it was asked for", figure: Math.max(...late), bound: 1_000, unit: "ms" });
  stage.row({ what: "back", figure: back.length, bound: BACK, is: "at least", unit: "" });
  stage.row({ what: "reserve after 5 s", figure: reserve, bound: RESERVED, is: "at least", unit: "" });
  stage.row({
    what: "links of before that have ended",
    figure: links.filter(({ state }) => state === "closed").length,
    bound: 0,
    unit: "",
  });
}

/** Of round trips, one after the other on each link. */
async function p99(links: readonly Link[], forMs: number): Promise<number> {
  const untilMs = performance.now() + forMs;
  const times: number[] = [];
  const ask = async (link: Link): Promise<void> => {
    while (performance.now() < untilMs) {
      const fromMs = performance.now();
      await link.send("?");
      await link.receive();
      times.push(performance.now() - fromMs);
      await sleep(ASKED_EVERY_MS);
    }
  };
  await Promise.all(links.map((link) => ask(link)));
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Infinity;
}
