/** What a server does when it is overloaded: whom it refuses, whom it asks to stay away, and what it gives up. */
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import type { ServerCore } from "../../src/core/server/server.ts";
import type { Refusable } from "../../src/core/server/state.ts";
import { check, type Stage } from "./stage.ts";

/** The server that it belongs to. */
interface Owner {
  readonly name: string;
  readonly stage: Stage;
  readonly core: ServerCore;
  readonly isUp: boolean;
  readonly nowMs: number;
  pump(): void;
  /** Nobody has taken the link away. */
  owns(link: ServerLinkCore): boolean;
  /** Closes the connection, and tells the core. */
  lose(channel: number, reason: string): void;
}

export class SimRelief {
  readonly #server: Owner;
  /** Links whose clients were asked to stay away, and until when. */
  readonly #awayUntilMs = new Map<ServerLinkCore, number>();
  readonly #protects = new Set<Refusable | "memory">();

  constructor(server: Owner) {
    this.#server = server;
  }

  /** Asks the link's client to come back later. Answers whether it did. */
  shed(link: ServerLinkCore, retryAfterMs: number): boolean {
    const { core, isUp, name, nowMs, stage } = this.#server;
    const toldMs = isUp ? core.shed(link, retryAfterMs, nowMs) : undefined;
    if (toldMs === undefined) return false;
    const mostMs = Math.min(30_000, stage.options.resumeForMs / 2);
    check(toldMs <= mostMs, () => `${name}: shed for ${toldMs} ms`);
    this.#awayUntilMs.set(link, nowMs + toldMs);
    this.#server.pump();
    return true;
  }

  /** How long the link's client was asked to stay away from now on. Not above 0: it may come. */
  awayForMs(link: ServerLinkCore): number {
    return (this.#awayUntilMs.get(link) ?? -Infinity) - this.#server.nowMs;
  }

  /** Refuses these for a while, or lends no memory. Answers whether it did not do so already. */
  protect(what: Refusable | "memory", forMs: number): boolean {
    const { core, isUp, stage } = this.#server;
    if (!isUp || this.#protects.has(what)) return false;
    this.#protects.add(what);
    if (what === "memory") lend(stage, false);
    else core.refuse(what, "overloaded");
    stage.clock.schedule(forMs, () => this.#protectNoMore(what));
    return true;
  }

  /** Nothing is refused any more, and memory is lent. */
  end(): void {
    for (const what of this.#protects) this.#protectNoMore(what);
  }

  #protectNoMore(what: Refusable | "memory"): void {
    this.#protects.delete(what);
    if (what === "memory") lend(this.#server.stage, true);
    else this.#server.core.refuse(what, "");
  }

  dropHandshakes(most: number): number {
    const { core, isUp, nowMs } = this.#server;
    const dropped = isUp ? core.dropSilent(most, nowMs) : 0;
    this.#server.pump();
    return dropped;
  }

  /** Memory is short. Answers whether there was anything to be given up. */
  giveUp(link: ServerLinkCore, what: "forget" | "evict" | "hopeless"): boolean {
    const server = this.#server;
    if (!server.isUp || !server.owns(link)) return false;
    const { adopted } = link;
    if (what === "forget") {
      if (link.forgetReceived() === 0) return false;
    } else if (what === "hopeless") {
      if (adopted === undefined) return false;
      server.lose(adopted.id, "write-stalled");
    } else {
      if (link.waitsSinceMs(server.nowMs) === Infinity) return false;
      link.evict();
    }
    server.pump();
    return true;
  }
}

function lend({ logBudget, windowBudget }: Stage, isOn: boolean): void {
  logBudget.lends = windowBudget.lends = isOn;
}
