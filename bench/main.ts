/**
 * `npm run bench`: one way over loopback, sender and receiver as processes of their own, in interleaved rounds, so that
 * what the machine does meanwhile is shared. Every message is checked by the receiver for its order and size.
 *
 *   --seconds N   a measurement's length, default 1.5      --rounds N   default 5
 *   --only NAME   a case whose name contains NAME          --json       one object as the last line
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { CONTENDERS, type Contender, type Result } from "./contenders.ts";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "1.5" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const SIZES = [64, 1_024, 65_536];
const REFERENCE: Contender = "raw gathered";

interface Row {
  name: string;
  messagesPerSecond: { median: number; min: number; max: number };
  megabytesPerSecond: number;
  /** Of the gathered raw socket at the same size, in the same run. */
  ratio: number;
}

const rates = new Map<string, number[]>();
for (let round = 0; round < rounds; round++) {
  for (const size of SIZES) {
    for (const contender of CONTENDERS) {
      const name = `${contender}, ${size} B`;
      if (!name.includes(options.only) && contender !== REFERENCE) continue;
      const { messages, ms } = await measure(contender, size);
      const rate = (1_000 * messages) / ms;
      rates.set(name, [...(rates.get(name) ?? []), rate]);
      if (process.stderr.isTTY)
        process.stderr.write(`round ${round + 1}/${rounds}  ${name}: ${format(rate)}/s\x1b[K\r`);
    }
  }
}
if (process.stderr.isTTY) process.stderr.write("\x1b[K");

const rows = SIZES.flatMap((size) => {
  const reference = median(rates.get(`${REFERENCE}, ${size} B`) ?? []);
  return CONTENDERS.flatMap((contender): Row[] => {
    const name = `${contender}, ${size} B`;
    const measured = rates.get(name);
    if (measured === undefined) return [];
    const middle = median(measured);
    return [
      {
        name,
        messagesPerSecond: { median: middle, min: Math.min(...measured), max: Math.max(...measured) },
        megabytesPerSecond: (middle * size) / 1e6,
        ratio: middle / reference,
      },
    ];
  });
});
for (const { name, messagesPerSecond, megabytesPerSecond, ratio } of rows) {
  const { median: middle, min, max } = messagesPerSecond;
  const spread = `(${format(min)} to ${format(max)})`;
  console.log(
    `${name.padEnd(28)} ${format(middle).padStart(9)} messages/s ${spread.padEnd(24)} ${megabytesPerSecond.toFixed(0).padStart(5)} MB/s   ${ratio.toFixed(2)} of ${REFERENCE}`,
  );
}
if (options.json) console.log(JSON.stringify({ seconds, rounds, node: process.version, rows }));

async function measure(contender: Contender, size: number): Promise<Result> {
  const receiver = start("receive", contender, size);
  const [port] = (await once(receiver, "message")) as [number];
  const sender = start("send", contender, size, port);
  const [result] = (await once(receiver, "message")) as [Result];
  const ended = [receiver, sender].map((child) => once(child, "exit"));
  sender.send("stop");
  receiver.send("stop");
  await Promise.all(ended);
  return result;
}

function start(role: "send" | "receive", contender: Contender, size: number, port = 0): ChildProcess {
  const worker = fileURLToPath(new URL("contenders.ts", import.meta.url));
  const child = fork(worker, [role, contender, String(size), String(seconds), String(port)]);
  child.once("exit", (code) => {
    if (code !== 0) throw new Error(`${role} of ${contender} at ${size} B failed with ${code}`);
  });
  return child;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function format(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} M`;
  return rate >= 1e3 ? `${(rate / 1e3).toFixed(0)} k` : rate.toFixed(0);
}
