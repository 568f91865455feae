/** A thousand links whose server is killed and started again, or only closes what it accepts. */
import { build } from "../../bench/build.ts";
import { ROOT } from "../../bench/checkout.ts";
import { withCrew } from "../../bench/crew.ts";
import { dialsOfClosed, type HerdProtocol, LIFTED, LIFTED_LINKS, restart } from "../../bench/herd.ts";
import type { RealScenario, RealStage } from "./stage.ts";

const LINKS = 1_000;
const BUSIEST_SECOND = { bound: 1.1 * 200, unit: "dials" } as const;
const BACK_MS = 8_000;
const DIALS_OF_CLOSED = 10;

export const HERD: readonly RealScenario[] = [
  {
    name: "herd",
    about:
      "1,000 links, durable and plain, whose server's process is killed and started again, or closes what it accepts",
    run: async (stage) => {
      build(ROOT);
      for (const protocol of ["durable", "plain"] as const) await losesItsServer(stage, protocol);
    },
  },
];

async function losesItsServer(stage: RealStage, protocol: HerdProtocol): Promise<void> {
  const links = stage.scaled(LINKS, 100);
  const { dials, busiestSecond, allBackMs } = await withCrew(undefined, (crew) => restart(crew, links, protocol));
  stage.row({
    what: `${protocol}, dials in the busiest second`,
    figure: busiestSecond,
    ...BUSIEST_SECOND,
    note: `of ${dials}`,
  });
  const note = `${links} links, after an outage of 2 s`;
  stage.row({ what: `${protocol}, all back within`, figure: allBackMs, bound: BACK_MS, unit: "ms", note });
  for (const [manager, count, text] of [
    [{}, links, "default limits"],
    [LIFTED, LIFTED_LINKS, "no limits on dials"],
  ] as const) {
    const dialsOfLink = await withCrew(undefined, (crew) => dialsOfClosed(crew, count, { protocol, manager }));
    stage.row({
      what: `${protocol}, accepted and closed, dials a link from 10 to 20 s`,
      figure: dialsOfLink,
      bound: DIALS_OF_CLOSED,
      unit: "dials",
      note: `${dialsOfLink.toFixed(2)}; ${count} links, ${text}`,
    });
  }
}
