/** The processes of one attack, the path of the healthy link beside it, and the rows that come of it. */
import net from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../../bench/statistics.ts";
import { type FaultRelay, faultRelay } from "../../src/testing/index.ts";
import type { Commands } from "../../bench/calls.ts";
import { Child } from "../endurance/child.ts";
import type { Scenario } from "../endurance/suite.ts";
import type { AttackerCommands } from "./attacker.ts";
import type { AttackName, Plan } from "./attacks.ts";
import type { ClientCommands } from "./client.ts";
import { NEVER_MS, type Trips } from "./healthy.ts";
import { type Row, type RowDraft, toRow } from "../endurance/rows.ts";
import type { ServerCommands, ServerPlan } from "./server.ts";
import type { VillainCommands, VillainPlan } from "./villain.ts";
import type { Where } from "./wire.ts";

/** The median of several windows counts, so that one that something else on the machine has spoilt does not. */
const WINDOW_MS = 1_000;
const QUIET_WINDOWS = 3;
/** 500 round trips a window: its p99 is the fifth longest. Below a millisecond that is the scheduler's and not ours. */
const LEAST_P99_MS = 1;
const MOST_TIMES_QUIET = 3;
const BACK_WITHIN_MS = 2_000;
/** The slowest counts: one may be lucky. */
const CUTS = 3;

export interface Beside {
  /** Is called when all was quiet, before the attack. */
  before?: () => Promise<void>;
  /** Is called once the attack is in position, before it is called off. */
  during?: () => Promise<void>;
  /** In position, it does nothing more: there is nothing to wait for. */
  isOver?: boolean;
  /** What authenticate() takes by itself. */
  authenticateMs?: number;
  /** Begins the attack; resolves when it is in position. */
  press: () => Promise<unknown>;
  release: () => Promise<unknown>;
}

export type Attack = Scenario<Stage>;

export interface StageOptions {
  /** How long an attack goes on. */
  seconds: number;
  /** Without: no times of a healthy link, which need a machine that is not too busy; only what attacks leave behind. */
  isTimed: boolean;
}

export class Stage {
  readonly rows: Row[] = [];
  readonly seconds: number;
  readonly isTimed: boolean;
  readonly #attack: string;
  readonly #children: Child<Commands>[] = [];
  readonly #closing: Array<() => unknown> = [];

  constructor(attack: string, { seconds, isTimed }: StageOptions) {
    this.#attack = attack;
    this.seconds = seconds;
    this.isTimed = isTimed;
  }

  row(draft: RowDraft): void {
    this.rows.push(toRow(this.#attack, draft));
  }

  // ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────

  child<C extends Commands>(module: URL, name: string, nodeOptions = ""): Child<C> {
    const child = new Child<C>(module, name, { NODE_OPTIONS: nodeOptions });
    this.#children.push(child);
    return child;
  }

  async server(plan: ServerPlan, nodeOptions?: string): Promise<{ server: Child<ServerCommands>; port: number }> {
    const server = this.child<ServerCommands>(new URL("server.ts", import.meta.url), "the server", nodeOptions);
    const { port } = await server.call("listen", plan);
    return { server, port };
  }

  async villain(plan: VillainPlan): Promise<{ villain: Child<VillainCommands>; port: number }> {
    const villain = this.child<VillainCommands>(new URL("villain.ts", import.meta.url), "the hostile server");
    return { villain, port: await villain.call("listen", plan) };
  }

  attacker(): Child<AttackerCommands> {
    return this.child<AttackerCommands>(new URL("attacker.ts", import.meta.url), "the attacker");
  }

  /** A client with a healthy link to the server, through a path that can be cut, and a bare echo through another. */
  async healthy(where: Where, credentials = "healthy"): Promise<HealthyClient> {
    const client = this.child<ClientCommands>(new URL("client.ts", import.meta.url), "the client");
    const echo = net.createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    const echoRelay = await this.relay((echo.address() as net.AddressInfo).port);
    this.#closing.push(() => echo.close());
    const relay = "port" in where ? await this.relay(where.port) : undefined;
    const target = "port" in where ? { port: relay?.port ?? 0, host: "127.0.0.1" } : { path: where.path };
    await client.call("begin", { target, credentials, tls: where.tls === true, echoPort: echoRelay.port });
    return new HealthyClient(client, relay);
  }

  async relay(port: number): Promise<FaultRelay> {
    const relay = await faultRelay({ port });
    this.#closing.push(() => relay.close());
    return relay;
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    for (const close of this.#closing) await close();
  }

  // ── an attack with a healthy link beside it ─────────────────────────────────────────────────────────────────────

  /** Round trips quiet and under attack, cuts in its midst, and round trips again. */
  async beside(healthy: HealthyClient, attack: Beside): Promise<void> {
    const { before, press, release, during, isOver = false, authenticateMs = 0 } = attack;
    if (!this.isTimed) {
      await before?.();
      await press();
      if (!isOver) await sleep(1_000 * this.seconds);
      await during?.();
      await release();
      return;
    }
    // What is made once is made before it is measured.
    await healthy.measure(1);
    const quiet = await healthy.measure(QUIET_WINDOWS);
    await before?.();
    const pressing = press();
    pressing.catch(() => {});
    const half = Math.max(2, Math.ceil(this.seconds / 2));
    const first = await healthy.measure(half);
    let backMs = 0;
    for (let cut = 0; cut < CUTS && backMs < NEVER_MS; cut++) backMs = Math.max(backMs, await healthy.cutAndBack());
    const second = await healthy.measure(half);
    await pressing;
    await during?.();
    await release();
    const under = { link: [...first.link, ...second.link], bare: [...first.bare, ...second.bare] };
    this.#rowsOf(quiet, under, backMs, authenticateMs);
  }

  #rowsOf(quiet: Measured, under: Measured, backMs: number, authenticateMs: number): void {
    const quietMs = p99(quiet.link);
    // What a bare echo takes through the same relay, in a process that is not attacked, is the machine's: two cores for all
    // these processes. Where there are cores to spare it is what it is when all is quiet, and the bound is three times that.
    const bareMs = p99(under.bare);
    const bound = MOST_TIMES_QUIET * Math.max(LEAST_P99_MS, quietMs, bareMs);
    this.row({
      what: "healthy p99",
      figure: Math.min(NEVER_MS, p99(under.link)),
      bound,
      unit: "ms",
      note: `quiet ${quietMs.toFixed(1)}; bare echo meanwhile ${bareMs.toFixed(1)}; p50 ${p50(under.link).toFixed(1)}`,
    });
    this.row({
      what: "healthy back",
      figure: backMs,
      bound: BACK_WITHIN_MS + authenticateMs,
      unit: "ms",
      note: `the slowest of ${CUTS}`,
    });
  }

  /** With the attack of a process of raw clients. Answers what it has counted. */
  async attacked(
    healthy: HealthyClient,
    attack: AttackName,
    plan: Plan,
    more: Omit<Partial<Beside>, "press" | "release"> = {},
  ): Promise<Record<string, number>> {
    const attacker = this.attacker();
    let counts: Record<string, number> = {};
    await this.beside(healthy, {
      ...more,
      press: () => attacker.call("press", { attack, plan }),
      release: async () => {
        counts = await attacker.call("release");
      },
    });
    return counts;
  }
}

export class HealthyClient {
  readonly client: Child<ClientCommands>;
  readonly #relay: FaultRelay | undefined;

  constructor(client: Child<ClientCommands>, relay: FaultRelay | undefined) {
    this.client = client;
    this.#relay = relay;
  }

  measure(windows: number): Promise<Measured> {
    return this.client.call("measure", { windows, windowMs: WINDOW_MS });
  }

  async cutAndBack(): Promise<number> {
    const reconnects = await this.client.call("reconnects");
    if (this.#relay === undefined) await this.client.call("cut");
    else this.#relay.cut("rst");
    return this.client.call("back", reconnects);
  }
}

type Measured = { link: Trips[]; bare: Trips[] };

function p99(windows: readonly Trips[]): number {
  return median(windows.map(({ p99Ms }) => p99Ms));
}

function p50(windows: readonly Trips[]): number {
  return median(windows.map(({ p50Ms }) => p50Ms));
}

/** What it says where its process has ended, which is the worst that an attack can do. */
export async function isAlive(child: Child<ServerCommands>): Promise<string> {
  return child.call("stats").then(
    () => "",
    (error: unknown) => (error as Error).message,
  );
}
