/** The heap: slow consumers whose messages would fill it, and an application that keeps it full. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../../src/index.ts";
import { actions, NONE, type OverloadScenario, type OverloadStage, told } from "./stage.ts";

const NODES = ["22", "24", "26"];
const HEAP_MIB = 128;
const CONSUMERS = 20;
/** A queue that by itself would take far more than the heap has. */
const ENDLESS = { maxMessages: 10_000_000, maxBytes: 4_000_000_000, ttlMs: 600_000 };
/** Nobody takes a message for so long, or until something is done about it. */
const STALLED_MS = 60_000;
const RECOVER_MS = 10_000;
/** Three steps a second apart, and their judgement, have so long on a busy machine. */
const GIVEN_UP_MS = 20_000;
/**
 * Garbage included, and above critical with it. V8 ends a process that holds more than four fifths, when four collections
 * in a row take most of its time: beside other work on the machine they do.
 */
const HELD = 0.82;
const DRAINED_WITHIN_MS = 300_000;

export const HEAP: readonly OverloadScenario[] = [
  ...NODES.flatMap((major) => [
    {
      name: `heap 100 B on Node ${major}`,
      about: "slow consumers of small messages, ten times what the heap takes",
      run: (stage: OverloadStage) => small(stage, major),
    },
    {
      name: `heap 64 KiB on Node ${major}`,
      about: "slow consumers of large messages, outside of the heap",
      run: (stage: OverloadStage) => large(stage, major),
    },
  ]),
  { name: "heap held", about: "an application that keeps four fifths of the heap for good", run: held },
];

/** A waiting message of 100 B takes some 300 of the heap. */
async function small(stage: OverloadStage, major: string): Promise<void> {
  const fitting = (HEAP_MIB * 1_048_576) / 300;
  await slowConsumers(stage, { bytes: 100, messages: stage.scaled((10 * fitting) / CONSUMERS, 80_000) }, true, major);
}

async function large(stage: OverloadStage, major: string): Promise<void> {
  const fitting = (HEAP_MIB * 1_048_576) / 65_536;
  await slowConsumers(stage, { bytes: 65_536, messages: stage.scaled((10 * fitting) / CONSUMERS, 100) }, false, major);
}

async function slowConsumers(
  stage: OverloadStage,
  flood: { bytes: number; messages: number },
  fillsHeap: boolean,
  major: string,
): Promise<void> {
  const options = { server: { resources: { ...NONE, heap: {} }, queue: ENDLESS }, flood };
  const { server, port } = await stage.serve(options, `--max-old-space-size=${HEAP_MIB}`, major);
  const links = await stage.clients(port, CONSUMERS);
  let isTaken = (): void => {};
  const takes = new Promise<void>((resolve) => {
    isTaken = resolve;
  });
  const counts = links.map((link) => count(link, takes));
  const stalledMs = performance.now();
  let atRelief = await server.call("reports");
  while (performance.now() - stalledMs < STALLED_MS && !(fillsHeap && atRelief.length > 0)) {
    await sleep(100);
    atRelief = await server.call("reports");
  }
  isTaken();
  const reliefMs = performance.now();
  const wanted = CONSUMERS * flood.messages;
  const taken = (): number => counts.reduce((sum, { taken: each }) => sum + each, 0);
  while (taken() < wanted && performance.now() - reliefMs < DRAINED_WITHIN_MS) await sleep(50);
  const drainedMs = performance.now();
  let reports = await server.call("reports");
  while (isOverloaded(reports) && performance.now() - drainedMs < RECOVER_MS) {
    await sleep(100);
    reports = await server.call("reports");
  }
  const first = actions(reports)[0];
  const share = first === undefined ? 0 : (100 * first.observed) / (first.limit ?? 1);
  if (fillsHeap)
    stage.row({
      what: "actions",
      figure: actions(atRelief).length,
      bound: 1,
      is: "at least",
      unit: "",
      note: told(reports),
    });
  stage.row({ what: "old generation at the first action", figure: share, bound: 80, unit: "%" });
  stage.row({ what: "messages not taken", figure: wanted - taken(), bound: 0, unit: "", note: `of ${wanted}` });
  stage.row({
    what: "taken out of their order",
    figure: counts.filter(({ isInOrder }) => !isInOrder).length,
    bound: 0,
    unit: "",
  });
  const recoverMs = isOverloaded(reports) ? Infinity : performance.now() - drainedMs;
  stage.row({ what: "recovered after the last message", figure: recoverMs, bound: RECOVER_MS, unit: "ms" });
}

/** Takes nothing until it is told to. */
function count(link: Link, takes: Promise<void>): { taken: number; isInOrder: boolean } {
  const counted = { taken: 0, isInOrder: true };
  let isWaiting = true;
  link.onMessage((message) => {
    counted.isInOrder &&= message.readUInt32BE() === counted.taken;
    counted.taken++;
    if (!isWaiting) return undefined;
    return takes.then(() => {
      isWaiting = false;
    });
  });
  return counted;
}

function isOverloaded(reports: ReadonlyArray<{ type: string }>): boolean {
  const last = reports.findLast(({ type }) => type === "act" || type === "recover" || type === "ineffective");
  return last !== undefined && last.type !== "recover";
}

async function held(stage: OverloadStage): Promise<void> {
  const number = stage.scaled(200, 50);
  const { server, port } = await stage.serve(
    { server: { resources: { ...NONE, heap: {} } } },
    "--max-old-space-size=96",
  );
  const links = await stage.clients(port, number);
  await server.call("fillHeap", HELD);
  const beganMs = performance.now();
  while (performance.now() - beganMs < GIVEN_UP_MS) {
    if ((await server.call("reports")).some(({ type }) => type === "ineffective")) break;
    await sleep(100);
  }
  await sleep(stage.scaled(60_000, 1_500));
  const reports = await server.call("reports");
  const { shed } = await server.call("stats");
  const hasGivenUp = reports.filter(({ type }) => type === "ineffective").length;
  const lost = links.filter(({ state }) => state === "closed").length;
  stage.row({ what: "steps", figure: actions(reports).length, bound: 3, unit: "", note: told(reports) });
  stage.row({ what: "ineffective", figure: hasGivenUp, bound: 1, is: "at least", unit: "" });
  stage.row({ what: "ineffective, again", figure: hasGivenUp, bound: 1, unit: "" });
  stage.row({ what: "links shed", figure: (100 * (shed["heap"] ?? 0)) / number, bound: 5, unit: "%" });
  stage.row({ what: "links that have ended", figure: lost, bound: 0, unit: "" });
}
