/**
 * One end of a conversation, as a program: it sends numbered messages, checks that those it receives are whole, and says
 * all that happens. What arrived in which order is for the test to judge. Its orders come on stdin.
 */
import { createInterface } from "node:readline";

import { ConnectionManager, type Link, type Logger, ServerSupervisor } from "../../../src/index.ts";
import type { Ended, LogLine, Order, Report, Role } from "./lines.ts";

const role = JSON.parse(process.argv[2] ?? "") as Role;

/** Distributive, so that each report keeps its own fields. */
type Unstamped<T> = T extends unknown ? Omit<T, "atMs"> : never;

/** Written synchronously: what was said before a SIGKILL is read. */
function say(report: Unstamped<Report>): void {
  process.stdout.write(`${JSON.stringify({ atMs: Date.now(), ...report })}\n`);
}

const log = (fields: object): void => say({ is: "log", ...(fields as LogLine) });
const logger: Logger = { debug: log, info: log, warn: log, error: log };

// ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────

let sent = 0;

/** Most fit into one packet with others; some need many. */
function fill(number: number): string {
  return String(number % 10).repeat(number % 50 === 0 ? 20_000 : 100);
}

function encode(number: number): string {
  return `${role.name} ${number} ${fill(number)}`;
}

function take(message: Buffer): void {
  const [from = "", digits = "", filling] = String(message).split(" ");
  const number = Number(digits);
  if (filling !== fill(number)) throw new Error(`message ${digits} from ${from} is not what was sent`);
  say({ is: "received", from, number });
}

function numberOf(message: Buffer): number {
  return Number(String(message).split(" ")[1]);
}

// ── the link ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The one that the orders are about, if not about all. */
let link: Link | undefined;
const links: Link[] = [];

function use(opened: Link): void {
  link = opened;
  links.push(opened);
  opened.onMessage(take);
  opened.on("undelivered", ({ reason, messages }) => {
    for (const delivery of ["not-sent", "maybe"] as const) {
      const numbers = messages.filter((each) => each.delivery === delivery).map(({ message }) => numberOf(message));
      if (numbers.length > 0) say({ is: "returned", reason, numbers, delivery });
    }
  });
}

if (role.role === "client") {
  const manager = new ConnectionManager({ logger, metricsIntervalMs: 0 });
  for (let left = role.links ?? 1; left > 0; left--) {
    use(manager.open({ ...role.options, host: role.host, port: role.port }));
  }
} else {
  const { host, port } = role;
  const supervisor = new ServerSupervisor({ ...role.options, host, port, logger, metricsIntervalMs: 0 });
  supervisor.serve(use);
  await supervisor.listen();
}

// ── orders ────────────────────────────────────────────────────────────────────────────────────────────────────────────

let talking: NodeJS.Timeout | undefined;
let orders = 0;

createInterface({ input: process.stdin }).on("line", (line) => {
  const to = orders++;
  void obey(JSON.parse(line) as Order).then((ended) =>
    say({ is: "answer", to, sent, peerAddress: link?.remoteAddress, ...(ended && { ended }) }),
  );
});

async function obey(order: Order): Promise<Ended | undefined> {
  if (link === undefined) throw new Error("there is no link yet");
  switch (order.order) {
    case "talk":
      clearInterval(talking);
      talking = setInterval(() => {
        // Full is not an error: the message is not taken, and not counted.
        if (link?.trySend(encode(sent)) === true) sent++;
      }, order.everyMs);
      return undefined;
    case "rest":
      clearInterval(talking);
      return undefined;
    case "send":
      for (let left = order.count; left > 0; left--) await link.send(encode(sent++));
      return undefined;
    case "speak":
      await Promise.all(
        links.map(async (each) => {
          await new Promise((resolve) => setTimeout(resolve, order.withinMs * Math.random()));
          await each.send(encode(sent++));
        }),
      );
      return undefined;
    case "flush":
      await Promise.all(links.map((each) => each.flush()));
      return undefined;
    case "block":
      if (link.trySend(encode(sent))) sent++;
      // It is written when the turn ends, and the answer is not read before the next.
      await new Promise((resolve) => setImmediate(resolve));
      for (const untilMs = performance.now() + order.ms; performance.now() < untilMs;);
      return undefined;
    case "finish": {
      const report = await (role.role === "client" ? link.close({ deadlineMs: 60_000 }) : link.closed);
      return { code: report.error?.code, undelivered: report.undelivered.length };
    }
  }
}
