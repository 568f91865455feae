// Ships lines to a syslog server over TCP (RFC 5424 lines, RFC 6587 octet counting). The server never answers. So a line
// is either reported as lost ("not-sent" for certain, or "maybe"), or nothing is known of it but the number ("untracked").
// Lines that cannot be sent wait for ten minutes; when there are too many the oldest are dropped:
//
//     tail -F app.log | npm run --silent example -- examples/syslog.ts 601
//     tail -F app.log | npm run --silent example -- examples/syslog.ts 601 100000 3600000    lines and ms at the most
import { hostname } from "node:os";
import { createInterface } from "node:readline";
import {
  bytes,
  ConnectionManager,
  type Framing,
  plain,
  type PlainLink,
  type QueueOptions,
  type Traffic,
  type UndeliveredMessage,
} from "resplice";

export interface SyslogOptions {
  host?: string;
  port: number;
  queue?: QueueOptions;
  /** So much is kept of lines that were written, for the report. A kernel may hold some MiB that nobody has read. */
  inDoubtBytes?: number;
}

const FACILITY_USER = 1;
const INFO = 6;

/** Each line has its length in front of it: "11 hello world". A line may then hold anything, also line ends. */
const octetCounting: Framing = {
  name: "octet-counting",
  encode: (message) => [Buffer.from(`${message.length} `), message],
  decoder: (limits) => bytes().decoder(limits),
};

export function openSyslog(manager: ConnectionManager, { inDoubtBytes, queue, ...target }: SyslogOptions): PlainLink {
  const link = manager.open({
    ...target,
    queue: { overflow: "drop-oldest", ttlMs: 600_000, ...queue },
    protocol: plain({ framing: octetCounting, ...(inDoubtBytes !== undefined && { inDoubtBytes }) }),
  });
  link.onMessage(() => {}); // a server has nothing to say; one that does is not to fill the window
  return link;
}

/** A line of RFC 5424. `severity`: from 0 (emergency) to 7 (debug). */
export function syslogLine(app: string, severity: number, text: string): string {
  const priority = FACILITY_USER * 8 + severity;
  return `<${priority}>1 ${new Date().toISOString()} ${hostname()} ${app} ${process.pid} - - ${text}`;
}

if (import.meta.main) await main(process.argv.slice(2).map(Number));

async function main([port = 601, maxMessages = 10_000, ttlMs = 600_000]: number[]): Promise<void> {
  const manager = new ConnectionManager();
  const link = openSyslog(manager, { port, queue: { maxMessages, ttlMs } });
  link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  link.on("undelivered", ({ reason, messages, untracked }) => tell(reason, messages, untracked));
  for await (const text of createInterface({ input: process.stdin })) {
    link.trySend(syslogLine("example", INFO, text)); // never waits: a service does not stop for its log
  }
  const { undelivered, untracked } = await link.close({ deadlineMs: 10_000 });
  tell("closed", undelivered, untracked);
  await manager.close();
}

function tell(reason: string, messages: readonly UndeliveredMessage[], untracked: Traffic | undefined): void {
  for (const { message, delivery } of messages) console.error(`${delivery}, ${reason}: ${String(message)}`);
  if (untracked !== undefined) console.error(`untracked, ${reason}: ${untracked.messages} lines`);
}
