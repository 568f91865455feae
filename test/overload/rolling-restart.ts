/**
 * Rolling restarts of a server on one port: a new process waits for the port, the old one is told to end, and until it
 * has, all connections are cut every half second. Nothing is lost or comes twice, and the old process ends in time.
 *
 *     node test/overload/rolling-restart.ts
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link } from "../../src/index.ts";
import { type FaultRelay, faultRelay } from "../../src/testing/index.ts";
import type { Order, Told } from "./rolling-server.ts";

const RESTARTS = 3;
const LINKS = 50;
const DEADLINE_MS = 10_000;
/** After the deadline a server waits for a second at the most; the rest is for the process to end. */
const OVERDUE_MS = 2_000;
const CUT_EVERY_MS = 500;
/** Before each restart the links do their work for so long. Their quick retries come back meanwhile. */
const BETWEEN_MS = 3_000;
/** What takes longer has not worked. */
const MOST_MS = 120_000;
const SERVER = new URL("rolling-server.ts", import.meta.url);

class Server {
  /** Resolves with the port when the process listens. */
  readonly listening: Promise<number>;
  got: Record<string, number[]> = {};
  cutOff: string[] = [];
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown[]>;

  constructor(order: Order) {
    const child = fork(SERVER);
    this.#process = child;
    this.#exited = once(child, "exit");
    this.listening = new Promise((resolve) => {
      child.on("message", (told: Told) => {
        if ("port" in told) resolve(told.port);
        else [this.got, this.cutOff] = [told.got, told.cutOff];
      });
    });
    child.send(order);
  }

  /** Tells the process to end, and answers its exit code. */
  async end(): Promise<unknown> {
    this.#process.kill("SIGTERM");
    const [code] = await this.#exited;
    return code;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

/** Sends numbers until it is told to stop, and keeps what comes back. */
class Client {
  sent = 0;
  moved = 0;
  lost = 0;
  undelivered = 0;
  readonly answers: number[] = [];
  readonly name: string;
  readonly link: Link;
  #stops = false;
  readonly #sending: Promise<void>;

  constructor(manager: ConnectionManager, port: number, name: string) {
    this.name = name;
    this.link = manager.open({ port, host: "127.0.0.1", openPayload: name });
    this.link.onMessage((message) => void this.answers.push(Number(String(message))));
    this.link.on("undelivered", ({ messages }) => (this.undelivered += messages.length));
    this.link.on("state", (change) => {
      if (change.to !== "connected" || change.session !== "new") return;
      if (change.reason === "moved") this.moved++;
      if (change.reason === "session-lost") this.lost++;
    });
    this.#sending = this.#send();
  }

  async #send(): Promise<void> {
    while (!this.#stops) {
      await this.link.send(String(this.sent++));
      await sleep(5 * Math.random());
    }
  }

  async stop(): Promise<void> {
    this.#stops = true;
    await this.#sending;
    await this.link.flush();
    while (this.answers.length < this.sent) await sleep(10);
  }
}

/** How many of the numbers from 0 on are missing, came twice, or came in another order. */
function faultsIn(got: readonly number[], sent: number): { lost: number; doubled: number; disordered: number } {
  const all = new Set(got);
  return {
    lost: sent - all.size,
    doubled: got.length - all.size,
    disordered: got.filter((n, at) => at > 0 && n < (got[at - 1] as number)).length,
  };
}

function check(holds: boolean, complaint: string): void {
  if (!holds) throw new Error(complaint);
}

/** Answers the new server, and says how long the old one took. */
async function restart(old: Server, relay: FaultRelay, order: Order): Promise<Server> {
  const next = new Server(order);
  const beganMs = performance.now();
  let cuts = 0;
  const cutting = setInterval(() => {
    relay.cut("rst");
    cuts++;
  }, CUT_EVERY_MS);
  const code = await old.end();
  const tookMs = Math.round(performance.now() - beganMs);
  clearInterval(cutting);
  console.log(`the old process has ended with ${String(code)} after ${tookMs} ms and ${cuts} cuts`);
  check(code === 0, `not all has ended in order: ${old.cutOff.join(", ")}`);
  check(tookMs <= DEADLINE_MS + OVERDUE_MS, `it had ${DEADLINE_MS} ms`);
  check(cuts > 0, "it ended before the first cut");
  await next.listening;
  return next;
}

async function main(): Promise<void> {
  const late = setTimeout(() => {
    console.log(`not done after ${MOST_MS} ms`);
    process.exit(1);
  }, MOST_MS);
  const servers = [new Server({ port: 0, deadlineMs: DEADLINE_MS })];
  process.on("exit", () => {
    for (const server of servers) server.kill();
  });
  let current = servers[0] as Server;
  const port = await current.listening;
  const relay = await faultRelay({ port });
  const manager = new ConnectionManager();
  const clients = Array.from({ length: LINKS }, (_, n) => new Client(manager, relay.port, `client ${n}`));
  for (let n = 0; n < RESTARTS; n++) {
    await manager.connected();
    await sleep(BETWEEN_MS);
    current = await restart(current, relay, { port, deadlineMs: DEADLINE_MS });
    servers.push(current);
  }
  await Promise.all(clients.map((client) => client.stop()));
  const { left, undelivered } = await manager.close();
  check((await current.end()) === 0, "the last server has cut something off");
  await relay.close();

  const sum = { sent: 0, moved: 0, sessionsLost: 0, undelivered: left + undelivered.length, lost: 0, doubled: 0 };
  let disordered = 0;
  for (const { name, sent, answers, moved, lost, undelivered: reported } of clients) {
    sum.sent += sent;
    sum.moved += moved;
    sum.sessionsLost += lost;
    sum.undelivered += reported;
    const got = servers.flatMap((server) => server.got[name] ?? []);
    for (const faults of [faultsIn(got, sent), faultsIn(answers, sent)]) {
      sum.lost += faults.lost;
      sum.doubled += faults.doubled;
      disordered += faults.disordered;
    }
  }
  console.log(`${RESTARTS} restarts of ${LINKS} links:`, { ...sum, disordered });
  const { sent, moved, ...faults } = sum;
  check(sent > 0 && moved === RESTARTS * LINKS, "not every link has moved in every restart");
  check(Object.values(faults).every((n) => n === 0) && disordered === 0, "not each message has come once, in order");
  clearTimeout(late);
}

await main();
