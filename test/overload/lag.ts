/** An application that blocks the event loop. */
import { setTimeout as sleep } from "node:timers/promises";
import { actions, NONE, type OverloadScenario, type OverloadStage, told } from "./stage.ts";

const LINKS = 200;
/** A sample of the lag covers two seconds, and an overload has to be over for five. */
const SETTLED_MS = 9_000;

export const LAG: readonly OverloadScenario[] = [
  { name: "lag blocks", about: "the loop is blocked for 300 ms, every 400 ms", run: blocks },
  { name: "lag one block", about: "the loop is blocked for 300 ms, once", run: once },
];

async function blocks(stage: OverloadStage): Promise<void> {
  const { server, port } = await stage.serve({ server: { resources: { ...NONE, lag: {} } } });
  const links = await stage.clients(port, LINKS);
  await sleep(2_500);
  const before = await server.call("reports");
  const forMs = stage.scaled(20_000, 6_000);
  const beganMs = await server.call("nowMs");
  await server.call("block", { blockMs: 300, restMs: 100, forMs });
  await sleep(SETTLED_MS);
  const reports = (await server.call("reports")).slice(before.length);
  const [first] = actions(reports);
  const recovers = reports.filter(({ type }) => type === "recover").length;
  stage.row({
    what: "acts after",
    figure: (first?.atMs ?? Infinity) - beganMs,
    bound: 3_500,
    unit: "ms",
    note: told(reports),
  });
  stage.row({
    what: "overloads",
    figure: actions(reports).filter(({ action }) => action === "read-less").length,
    bound: 1,
    unit: "",
  });
  stage.row({ what: "recoveries", figure: recovers, bound: 1, is: "at least", unit: "" });
  stage.row({
    what: "links that have ended",
    figure: links.filter(({ state }) => state === "closed").length,
    bound: 0,
    unit: "",
  });
}

async function once(stage: OverloadStage): Promise<void> {
  const { server, port } = await stage.serve({ server: { resources: { ...NONE, lag: {} } } });
  await stage.clients(port, LINKS);
  await sleep(2_500);
  const before = await server.call("reports");
  await server.call("block", { blockMs: 300, restMs: 0, forMs: 1 });
  await sleep(4_000);
  const reports = (await server.call("reports")).slice(before.length);
  stage.row({ what: "actions", figure: actions(reports).length, bound: 0, unit: "", note: told(reports) });
}
