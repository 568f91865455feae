/** Rows whose path is cut every 8 s, with TLS and without. */
import type { CutPathCommands, Cuts } from "./cut-path.ts";
import type { TunnelScenario, TunnelStage, Way, WayOptions } from "./stage.ts";

const CUT_EVERY_MS = 8_000;
/** Each transfer is repeated until the path was cut so often. */
const CUTS = 4;

export interface CutWay extends Way {
  /** Until now. */
  cuts(): Promise<Cuts>;
}

/** Under the name with TLS and a token between the ends, and as "<name>-clear" without. */
export function cutRows(
  name: string,
  about: string,
  run: (stage: TunnelStage, tls: boolean) => Promise<void>,
): readonly TunnelScenario[] {
  return [
    { name, about, run: (stage) => run(stage, true) },
    { name: `${name}-clear`, about: "the same without TLS", run: (stage) => run(stage, false) },
  ];
}

/** From now on it is cut. */
export async function cutWay(stage: TunnelStage, options: WayOptions): Promise<CutWay> {
  const path = stage.worker<CutPathCommands>(new URL("cut-path.ts", import.meta.url), "path");
  const way = await stage.tunnel({ ...options, path: (far) => path.call("open", far) });
  await path.call("cutEvery", CUT_EVERY_MS);
  return { ...way, cuts: () => path.call("cuts") };
}

/** Without a cut of each kind a row shows nothing. A shorter run may end before. */
export async function rowOfCuts(stage: TunnelStage, way: CutWay): Promise<void> {
  const { resets, blackHoles } = await way.cuts();
  stage.row({
    what: "cuts of each kind meanwhile",
    figure: Math.min(resets, blackHoles),
    bound: stage.scaled(1, 0),
    is: "at least",
    unit: "",
    note: `${resets} resets, ${blackHoles} black holes`,
  });
}

/** Again and again, until there were cuts enough. Answers how often, and how often `transfer` was right. */
export async function untilCut(
  stage: TunnelStage,
  way: CutWay,
  transfer: () => Promise<boolean>,
): Promise<{ transfers: number; right: number }> {
  const enough = stage.scaled(CUTS, 2);
  const { resets, blackHoles } = await way.cuts();
  const counted = { transfers: 0, right: 0 };
  for (;;) {
    counted.transfers++;
    if (await transfer()) counted.right++;
    const now = await way.cuts();
    if (now.resets + now.blackHoles >= resets + blackHoles + enough) return counted;
  }
}
