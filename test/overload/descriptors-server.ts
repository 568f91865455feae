/** A server whose process may have few descriptors, and whose application opens files all the time. */
import { close, open } from "node:fs";
import { answerCalls } from "../../bench/calls.ts";
import { type OverloadReport, ServerSupervisor } from "../../src/index.ts";
import { DESCRIPTOR_RESERVE, RESERVED } from "../../src/io/resources/reserve.ts";

export type DescriptorsCommands = {
  listen: () => Promise<number>;
  /** Each opens /dev/zero and closes it, again and again: so many at once, until `still()`. */
  openFiles: (loops: number) => void;
  still: () => void;
  /** The most of a core that was used in any second since the last call, in percent. */
  busiestPercent: () => number;
  reports: () => OverloadReport["type"][];
  /** How many descriptors the process keeps in reserve. */
  reserve: () => number;
  /** Resolves when an overload of the descriptors is over. */
  recovered: () => Promise<void>;
};

/** A file is read for so long, and closed. One that could not be opened is tried again after as long. */
const OPEN_MS = 5;
const CPU_EVERY_MS = 100;
const SECOND = 1_000 / CPU_EVERY_MS;

const supervisor = new ServerSupervisor({
  port: 0,
  host: "127.0.0.1",
  limits: { opensPerSecond: 100_000 },
});
const reports: OverloadReport["type"][] = [];
const usedMs: number[] = [];
let isOpening = false;
let before = process.cpuUsage();

setInterval(() => {
  const now = process.cpuUsage();
  usedMs.push((now.user + now.system - before.user - before.system) / 1_000);
  before = now;
}, CPU_EVERY_MS).unref();

function loop(): void {
  if (!isOpening) return;
  open("/dev/zero", "r", (error, descriptor) => {
    setTimeout(() => (error === null ? close(descriptor, loop) : loop()), OPEN_MS);
  });
}

answerCalls({
  listen: async () => {
    supervisor.on("overload", ({ type }) => void reports.push(type));
    supervisor.serve((link) => link.onMessage((message) => link.send(message)));
    return (await supervisor.listen()).port;
  },
  openFiles: (loops) => {
    isOpening = true;
    for (let n = 0; n < loops; n++) loop();
  },
  still: () => {
    isOpening = false;
  },
  busiestPercent: () => {
    const taken = usedMs.splice(0);
    const seconds = taken.map((_, n) => taken.slice(n, n + SECOND)).filter(({ length }) => length === SECOND);
    return Math.max(0, ...seconds.map((second) => second.reduce((sum, ms) => sum + ms, 0) / 10));
  },
  reports: () => reports,
  reserve: () => (DESCRIPTOR_RESERVE.isWhole ? RESERVED : 0),
  recovered: async () => {
    if (reports.at(-1) === "recover" || reports.length === 0) return;
    await new Promise<void>((resolve) => {
      supervisor.on("overload", ({ type }) => type === "recover" && resolve());
    });
  },
} satisfies DescriptorsCommands);
