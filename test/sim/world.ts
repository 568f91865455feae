/**
 * A world of real cores on a simulated network: applications that send numbered messages and read at their own pace, and a
 * check after every step of what must hold whatever happens.
 */
import type { End } from "./end.ts";
import { SimClient } from "./sim-client.ts";
import { SimServer } from "./sim-server.ts";
import { addressOf, check, Stage, type WorldOptions } from "./stage.ts";

export class World extends Stage {
  readonly servers: SimServer[] = [];
  readonly client: SimClient;

  constructor(options: Partial<WorldOptions> = {}) {
    super(options);
    for (let n = 0; n < this.options.servers; n++) this.servers.push(new SimServer(this, addressOf(n)));
    for (const { name } of this.servers) this.restorePath(name);
    this.client = new SimClient(this);
  }

  /** Runs until `done`, checking after every step; fails when the simulated time is over. */
  runUntil(done: () => boolean, withinMs: number, what: string): void {
    const untilMs = this.clock.nowMs + withinMs;
    while (!done()) {
      check(this.clock.step(untilMs), () => `not within ${withinMs} ms: ${what}; ${this.describe()}`);
      this.checkAll();
    }
  }

  runFor(ms: number): void {
    const untilMs = this.clock.nowMs + ms;
    while (this.clock.step(untilMs)) this.checkAll();
    this.clock.runUntil(untilMs);
  }

  describe(): string {
    const everyone = [this.client.end, ...this.servers.flatMap(({ ends }) => [...ends.values()])];
    return everyone.map((end) => end.describe()).join("; ");
  }

  checkAll(): void {
    this.client.end.checkBounds();
    // One owner for each session, over all servers.
    const owned = new Set<string>();
    for (const server of this.servers) {
      for (const [link, end] of server.ends) {
        end.checkBounds();
        if (link.session.phase !== "live") continue;
        const { id } = link.session.keys;
        check(!owned.has(id), () => `two servers own session ${id}`);
        owned.add(id);
      }
    }
  }

  /** A consumer goes on. */
  wake(end: End): void {
    end.paused = false;
    this.client.pump();
    for (const server of this.servers) server.pump();
  }

  /** No fault is on any more, and none comes. */
  heal(): void {
    this.healed = true;
    this.note("healed");
    if (this.client.rerouted) this.client.route = 0;
    for (const server of this.servers) {
      // The client was sent elsewhere, so the session it had there may wait for it in vain.
      if (server.leaves && this.client.rerouted) server.kill();
      if (!server.isUp) server.start();
      server.listen();
      this.restorePath(server.name);
    }
    for (const server of this.servers) {
      server.unblock();
      for (const end of server.ends.values()) this.wake(end);
    }
    this.client.unblock();
    this.client.retryNow();
    this.wake(this.client.end);
  }
}
