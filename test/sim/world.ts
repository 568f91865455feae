/**
 * A world of real cores on a simulated network: applications that send numbered messages and read at their own pace, and a
 * check after every step of what must hold whatever happens.
 */
import type { End } from "./end.ts";
import { Ledger } from "./ledger.ts";
import type { WorldOptions } from "./options.ts";
import type { Side } from "./parameters.ts";
import { SimClient } from "./sim-client.ts";
import { SimServer } from "./sim-server.ts";
import { addressOf, check, Stage } from "./stage.ts";
import { SimStore } from "./store.ts";

/** Some runs take 200,000. */
const MOST_STEPS = 5_000_000;

export class World extends Stage {
  readonly servers: SimServer[] = [];
  readonly clients: SimClient[] = [];
  readonly #ledger: Ledger = new Ledger(this);
  #steps = 0;

  constructor(seed: number, options: Partial<WorldOptions> = {}, verbose = false) {
    super(seed, options, verbose);
    const { commitMs, sharesStore } = this.options;
    const shared = commitMs > 0 && sharesStore ? new SimStore() : undefined;
    for (let n = 0; n < this.options.servers; n++) this.servers.push(new SimServer(this, addressOf(n), shared));
    for (const { name } of this.servers) this.restorePath(name);
    for (let n = 0; n < this.options.clients; n++) this.clients.push(new SimClient(this, n));
  }

  /** Runs until `done`, checking after every step; fails when the simulated time is over. */
  runUntil(done: () => boolean, withinMs: number, what: string): void {
    const untilMs = this.clock.nowMs + withinMs;
    while (!done()) check(this.#step(untilMs), () => `not within ${withinMs} ms: ${what}; ${this.describe()}`);
  }

  runTo(untilMs: number): void {
    while (this.#step(untilMs));
    this.clock.runUntil(untilMs);
  }

  #step(untilMs: number): boolean {
    if (!this.clock.step(untilMs)) return false;
    check(++this.#steps < MOST_STEPS, () => `no end after ${MOST_STEPS} steps; ${this.describe()}`);
    this.checkAll();
    return true;
  }

  describe(): string {
    return this.#ends()
      .map((end) => end.describe())
      .join("; ");
  }

  #ends(): End[] {
    return [...this.clients.map(({ end }) => end), ...this.servers.flatMap(({ ends }) => [...ends.values()])];
  }

  checkAll(): void {
    const { touched } = this;
    if (touched.size === 0) return;
    let atServers = false;
    for (const process of touched) {
      process.checkBounds();
      this.#ledger.count(process);
      atServers ||= process instanceof SimServer;
    }
    touched.clear();
    this.#ledger.check();
    if (atServers && this.servers.length > 1) this.#checkOwners();
  }

  /** One for each session, over all servers. */
  #checkOwners(): void {
    const owned = new Set<string>();
    for (const server of this.servers) {
      for (const link of server.ends.keys()) {
        if (link.session.phase !== "live" || !server.owns(link)) continue;
        const { id } = link.session.keys;
        check(!owned.has(id), () => `two servers own session ${id}`);
        owned.add(id);
      }
    }
  }

  /** One end of a client's link; at a server, the newest. */
  endOf(client: SimClient, side: Side): End | undefined {
    if (side === "client") return client.end;
    return this.#ends()
      .filter((end) => end.client === client.number && end !== client.end)
      .toSorted((a, b) => b.ordinal - a.ordinal)[0];
  }

  override isAwaited(sessionId: string): boolean {
    return this.clients.some(({ core }) => !core.gone && core.session.keys.id === sessionId);
  }

  /** Who does something without having been called. */
  pump(): void {
    for (const process of [...this.clients, ...this.servers]) process.pump();
  }

  /** No fault is on any more, and none comes. */
  heal(): void {
    this.healed = true;
    this.note("healed");
    this.verdicts.clear();
    this.traps.clear();
    for (const server of this.servers) {
      if (!server.isUp) server.start();
      server.overload(0, 0);
      server.enlarge();
      server.listen();
      this.restorePath(server.name);
    }
    for (const client of this.clients) if (client.rerouted) client.route = client.homeRoute;
    for (const server of this.servers) server.unblock();
    for (const client of this.clients) client.unblock();
    for (const end of this.#ends()) end.paused = false;
    for (const client of this.clients) client.retryNow();
    this.pump();
  }
}
