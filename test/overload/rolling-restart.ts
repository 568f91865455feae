/**
 * Rolling restarts of a server on one port: a new process waits for the port, the old one is told to end, and until it
 * has, all connections are cut every half second. Nothing is lost or comes twice, and the old process ends in time.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionManager, Link } from "../../src/index.ts";
import { type FaultRelay, faultRelay } from "../../src/testing/index.ts";
import type { Order, Told } from "./rolling-server.ts";
import type { OverloadScenario, OverloadStage } from "./stage.ts";

const RESTARTS = 3;
const LINKS = 50;
const DEADLINE_MS = 10_000;
/** After the deadline a server waits for a second at the most; the rest is for the process to end. */
const OVERDUE_MS = 2_000;
const CUT_EVERY_MS = 500;
/** Before each restart the links do their work for so long. Their quick retries come back meanwhile. */
const BETWEEN_MS = 3_000;
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

/** Answers the new server, and what went wrong with the old one. */
async function restart(stage: OverloadStage, old: Server, relay: FaultRelay, order: Order): Promise<Server> {
  const next = started(stage, order);
  const beganMs = performance.now();
  let cuts = 0;
  const cutting = setInterval(() => {
    relay.cut("rst");
    cuts++;
  }, CUT_EVERY_MS);
  const code = await old.end();
  const figure = performance.now() - beganMs;
  clearInterval(cutting);
  const note = `${cuts} cuts; exit code ${String(code)} ${old.cutOff.join(", ")}`.trim();
  stage.row({ what: "the old process has ended in", figure, bound: DEADLINE_MS + OVERDUE_MS, unit: "ms", note });
  stage.row({ what: "links that it has cut off", figure: code === 0 ? 0 : 1, bound: 0, unit: "" });
  stage.row({ what: "cuts before it ended", figure: cuts, bound: 1, is: "at least", unit: "" });
  await next.listening;
  return next;
}

function started(stage: OverloadStage, order: Order): Server {
  const server = new Server(order);
  stage.onClose(() => server.kill());
  return server;
}

async function rolling(stage: OverloadStage): Promise<void> {
  const restarts = stage.scaled(RESTARTS);
  const number = stage.scaled(LINKS, 10);
  let current = started(stage, { port: 0, deadlineMs: DEADLINE_MS });
  const servers = [current];
  const port = await current.listening;
  const relay = await faultRelay({ port });
  stage.onClose(() => relay.close());
  const manager = stage.manager();
  const clients = Array.from({ length: number }, (_, n) => new Client(manager, relay.port, `client ${n}`));
  for (let n = 0; n < restarts; n++) {
    await manager.connected();
    await sleep(BETWEEN_MS);
    current = await restart(stage, current, relay, { port, deadlineMs: DEADLINE_MS });
    servers.push(current);
  }
  await Promise.all(clients.map((client) => client.stop()));
  const { left, undelivered } = await manager.close();
  const cutOff = (await current.end()) === 0 ? 0 : 1;
  const sum = { sent: 0, moved: 0, "sessions lost": 0, undelivered: left + undelivered.length + cutOff };
  const faults = { "messages lost": 0, "messages doubled": 0, "messages out of order": 0 };
  for (const { name, sent, answers, moved, lost, undelivered: reported } of clients) {
    sum.sent += sent;
    sum.moved += moved;
    sum["sessions lost"] += lost;
    sum.undelivered += reported;
    const got = servers.flatMap((server) => server.got[name] ?? []);
    for (const each of [faultsIn(got, sent), faultsIn(answers, sent)]) {
      faults["messages lost"] += each.lost;
      faults["messages doubled"] += each.doubled;
      faults["messages out of order"] += each.disordered;
    }
  }
  const { sent, moved, ...harm } = sum;
  stage.row({
    what: "links that have moved",
    figure: moved,
    bound: restarts * number,
    is: "at least",
    unit: "",
    note: `${sent} messages`,
  });
  for (const [what, figure] of Object.entries({ ...harm, ...faults })) stage.row({ what, figure, bound: 0, unit: "" });
}

export const ROLLING_RESTART: readonly OverloadScenario[] = [
  {
    name: "rolling restart",
    about: "a server is restarted three times on its port, with cuts meanwhile",
    run: rolling,
  },
];
