/**
 * From the moment a path is back until a message is there and back again that was sent after the path broke. Links with
 * traffic, each on a path of its own, whose paths break at different moments.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { KeepaliveOptions } from "resplice";
import type { Crew } from "./crew.ts";
import type { RecoveryCommands } from "./recovery-worker.ts";
import type { BreakPlan, RelayCommands } from "./relay-worker.ts";
import type { Figures, Scenario } from "./scenario.ts";
import { percentile } from "./statistics.ts";

const CUT_P50 = "recovery, cut and the path accepts at once, p50";
const CUT_P99 = "recovery, cut and the path accepts at once, p99";
const OUTAGE = "recovery, outage of 20 s, p99 from the path's return";
const BLACK_HOLE = "recovery, black hole of 1 s, p99 from its start";
const QUICK = "recovery, black hole of 300 ms, suspectAfterMs 250, p99 from its start";

interface Case {
  rows: Scenario["rows"];
  plan: BreakPlan;
  keepalive: KeepaliveOptions;
  figures: (tookMs: { fromReturn: number[]; fromStart: number[] }) => Figures;
}

const LINKS = 50;
/** Until all processes of all cases have started and had their code compiled. */
const WARM_UP_MS = 3_000;

const cases: readonly Case[] = [
  {
    rows: [CUT_P50, CUT_P99],
    plan: { fault: "cut", brokenMs: 0, times: 6, everyMs: 3_000, settleMs: 2_000 },
    keepalive: {},
    figures: ({ fromReturn }) => ({ [CUT_P50]: percentile(fromReturn, 0.5), [CUT_P99]: percentile(fromReturn, 0.99) }),
  },
  {
    rows: [OUTAGE],
    plan: { fault: "outage", brokenMs: 20_000, times: 1, everyMs: 22_000, settleMs: 4_000 },
    keepalive: {},
    figures: ({ fromReturn }) => ({ [OUTAGE]: percentile(fromReturn, 0.99) }),
  },
  {
    rows: [BLACK_HOLE],
    plan: { fault: "black hole", brokenMs: 1_000, times: 2, everyMs: 10_000, settleMs: 2_000 },
    keepalive: {},
    figures: ({ fromStart }) => ({ [BLACK_HOLE]: percentile(fromStart, 0.99) }),
  },
  {
    rows: [QUICK],
    plan: { fault: "black hole", brokenMs: 300, times: 4, everyMs: 5_000, settleMs: 2_000 },
    keepalive: { suspectAfterMs: 250 },
    figures: ({ fromStart }) => ({ [QUICK]: percentile(fromStart, 0.99) }),
  },
];

/** All at once: each has little to do but to wait. */
export const recovery: Scenario = {
  name: "recovery",
  rows: cases.flatMap(({ rows }) => rows),
  sides: ["ours"],
  roundsMax: 1,
  async measure(_side, crew, { wants }) {
    const wanted = cases.filter(({ rows }) => rows.some(wants));
    const figures = await Promise.all(wanted.map((one) => measure(one, crew)));
    return Object.assign({}, ...figures) as Figures;
  },
};

async function measure({ plan, keepalive, figures }: Case, crew: Crew): Promise<Figures> {
  const role = `${plan.fault} ${plan.brokenMs}`;
  const server = crew.start<RecoveryCommands>("recovery-worker.ts", `${role}, server`, null);
  const client = crew.start<RecoveryCommands>("recovery-worker.ts", `${role}, client`, null);
  const relay = crew.start<RelayCommands>("relay-worker.ts", `${role}, relay`, null);
  const ports = await relay.call("open", { port: await server.call("listen"), paths: LINKS });
  await client.call("open", { ports, keepalive });
  await sleep(WARM_UP_MS);
  const breaks = await relay.call("break", plan);
  await client.call("stop");
  const through = await client.call("through", breaks);
  return figures({
    fromReturn: breaks.map(({ returnMs }, at) => (through[at] as number) - returnMs),
    fromStart: breaks.map(({ startMs }, at) => (through[at] as number) - startMs),
  });
}
