/** All pictures of docs/pictures that are drawn from the sources, from other documents, or from a recorded run. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type FaultFigures, gapInWords } from "../../bench/faults/figures.ts";
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";
import { formatMs } from "../../src/cli/words.ts";
import { barsPicture } from "./bars.ts";
import { demoPicture } from "./demo.ts";
import { ladderPicture } from "./ladder.ts";
import { machinePicture } from "./machine.ts";
import { peersPicture, shortened } from "./peers.ts";
import { LINK, SERVER } from "./states.ts";

export const FOLDER: string = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));
/** A run of `resplice chaos --json`, which `npm run pictures -- --record` writes. */
export const RECORDED = "demo.json";
/** Of `npm run bench -- faults --peers`. */
export const COMPARED = "faults.json";
/** Of the live page, which `npm run pictures -- --browser` takes, and in which colours. */
export const SCREENSHOTS = { "page-light.png": "light", "page-dark.png": "dark" } as const;
const PERFORMANCE = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));

/** Rows of the last table in docs/performance.md that has them, and how they are called in the picture. */
const THROUGHPUT: Readonly<Record<string, string>> = {
  "one way, 64 B, messages/s": "64 B",
  "one way, 1 KiB, messages/s": "1 KiB",
  "one way, 64 KiB copied, messages/s": "64 KiB",
  "both directions busy, 64 B, messages/s": "64 B, both directions",
  "duplex() piped, 64 KiB chunks, chunks/s": "a stream, 64 KiB chunks",
  "one way, plain lines of 100 B, messages/s": "plain lines of 100 B",
};

/** By the names of their files. */
export function pictures(): Readonly<Record<string, string>> {
  const recorded = JSON.parse(readFileSync(FOLDER + RECORDED, "utf8")) as ChaosFigures;
  const compared = JSON.parse(readFileSync(FOLDER + COMPARED, "utf8")) as FaultFigures;
  return {
    "demo.svg": demoPicture(recorded),
    "recovery.svg": recoveryPicture(recorded),
    "peers.svg": peersPicture(compared),
    "gaps.svg": gapsPicture(compared),
    "throughput.svg": throughputPicture(readFileSync(PERFORMANCE, "utf8")),
    "ladder.svg": ladderPicture(),
    "states.svg": machinePicture(LINK),
    "server-states.svg": machinePicture(SERVER),
  };
}

/** The way that each project recommends where messages must not be lost. */
const CAREFUL = [
  "resplice",
  "ws, resent by the application",
  "Socket.IO, acknowledged",
  "NATS JetStream",
  "MQTT, QoS 2",
  "ZeroMQ, resent by the application",
  "Redis streams",
];
const GAP_FAULT = "RST";

export function gapsPicture({ contenders, madeAt }: FaultFigures): string {
  const rows = CAREFUL.map((name) => {
    const count = contenders.find((contender) => contender.name === name)?.counts[GAP_FAULT];
    if (count === undefined) throw new Error(`docs/pictures/${COMPARED} has no figures of ${name}`);
    return { name: shortened(name), value: count.longestGapMs, text: gapInWords(count) };
  });
  return barsPicture({
    title: "Longest gap after a reset",
    description: `The longest time without a message, of five resets, ${madeAt.slice(0, 10)}: ${rows.map(({ name, text }) => `${name} ${text}`).join(", ")}.`,
    rows,
  });
}

function recoveryPicture({ kinds, madeAt }: ChaosFigures): string {
  const rows = kinds.flatMap(({ kind, recoveryMs: { p50 } }) =>
    p50 === null ? [] : [{ name: kind, value: p50, text: formatMs(p50) }],
  );
  return barsPicture({
    title: "Back after a fault",
    description: `Median times until messages flow again, ${madeAt.slice(0, 10)}: ${rows.map(({ name, text }) => `${name} ${text}`).join(", ")}.`,
    rows,
  });
}

export function throughputPicture(performance: string): string {
  const rows = Object.entries(THROUGHPUT).map(([row, name]) => {
    const value = ratioOf(performance, row);
    return { name, value, text: value.toFixed(2) };
  });
  return barsPicture({
    title: "Throughput beside a raw socket",
    description: `Messages a second, as parts of a raw socket's: ${rows.map(({ name, text }) => `${name} ${text}`).join(", ")}.`,
    rows,
    reference: { value: 1, name: "raw socket" },
  });
}

function ratioOf(performance: string, row: string): number {
  const line = performance.split("\n").findLast((text) => text.startsWith(`| ${row} |`));
  const ratio = Number(line?.split("|")[6]);
  if (!(ratio > 0)) throw new Error(`docs/performance.md has no ratio of ${JSON.stringify(row)}`);
  return ratio;
}
