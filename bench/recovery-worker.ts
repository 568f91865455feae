/** Either end of links whose paths break: the client sends all the time, the server sends back what comes. */
import { setTimeout as sleep } from "node:timers/promises";
import { type KeepaliveOptions, type Link } from "resplice";
import { connector, listen, sendAlone } from "./contenders.ts";
import { Check, Payloads } from "./payloads.ts";
import type { Break } from "./relay-worker.ts";
import { answerCalls } from "./calls.ts";
import { monotonicMs } from "./worker.ts";

export type RecoveryCommands = {
  listen(): Promise<number>;
  /** One link to each port. */
  open(options: { ports: number[]; keepalive: KeepaliveOptions }): Promise<void>;
  /** Of each break, when the first message that was sent after its start was back, on the clock that all share. */
  through(breaks: Break[]): number[];
  /** Stops sending, and resolves when each message is back. */
  stop(): Promise<void>;
};

const BYTES = 64;
const EVERY_MS = 40;

interface Probe {
  link: Link;
  sentMs: number[];
  backMs: number[];
  check: Check;
}

const payloads = new Payloads(BYTES, false);
const probes: Probe[] = [];
let sending: NodeJS.Timeout | undefined;

answerCalls({
  listen: () => listen("ours", (accepted) => accepted.onMessage((message) => sendAlone(accepted, message))),
  open: async ({ ports, keepalive }) => {
    const open = connector("ours");
    for (const port of ports) probes.push(probe(open(port, { keepalive }) as Link));
    await Promise.all(probes.map(({ link }) => link.connected()));
    sending = setInterval(() => {
      for (const { link, sentMs } of probes) {
        sendAlone(link, payloads.at(sentMs.length));
        sentMs.push(monotonicMs());
      }
    }, EVERY_MS);
  },
  through: (breaks) =>
    breaks.map(({ path, startMs }) => {
      const { sentMs, backMs } = probes[path] as Probe;
      return backMs[sentMs.findIndex((ms) => ms >= startMs)] ?? Infinity;
    }),
  stop: async () => {
    clearInterval(sending);
    while (probes.some(({ sentMs, backMs }) => backMs.length < sentMs.length)) {
      await sleep(10);
    }
  },
} satisfies RecoveryCommands);

function probe(link: Link): Probe {
  const created: Probe = { link, sentMs: [], backMs: [], check: new Check(BYTES, false) };
  link.onMessage((message) => {
    created.check.take(message);
    created.backMs.push(monotonicMs());
  });
  return created;
}
