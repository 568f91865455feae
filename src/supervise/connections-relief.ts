/** What a server that the application has made can do against overload. No request is cut off that makes progress. */
import type { OverloadAction } from "../core/overload/actions.ts";
import { fullest, hopeless, oldest } from "../core/overload/victims.ts";
import { type ActTerms, atMost, LEAST_CLOSED, NOTHING, type Released, type Relief } from "../server/overload/relief.ts";
import type { Refusals } from "../server/refusals.ts";
import { IDLE_MS, type SupervisedConnection } from "./connection.ts";
import type { Connections } from "./connections.ts";

export interface ConnectionsReliefHost {
  readonly refusals: Refusals;
  readonly writeStallMs: number;
  now(): number;
}

export class ConnectionsRelief implements Relief {
  readonly #connections: Connections;
  readonly #host: ConnectionsReliefHost;

  constructor(connections: Connections, host: ConnectionsReliefHost) {
    this.#connections = connections;
    this.#host = host;
  }

  get links(): number {
    return this.#connections.open.size;
  }

  enforce(condition: OverloadAction, why: string): void {
    if (condition !== "refuse-sessions") throw new Error(`${condition} is no condition of a supervised server`);
    this.#connections.door.refuseAll(why);
  }

  isIdle(action: OverloadAction): boolean {
    switch (action) {
      case "refuse-sessions":
        return false;
      case "close-idle":
        return this.#longestIdle(1).length === 0;
      case "close-hopeless":
        return this.#hopeless(1).length === 0;
      case "drop-lingering":
        return this.#connections.door.lingering.size === 0;
      case "drop-handshakes":
        return this.#slow(1).length === 0;
      case "shed":
        return this.#longestIdle(1).length === 0 && this.#fullest(1).length === 0;
      default:
        return true;
    }
  }

  carryOut(act: OverloadAction, terms: ActTerms): Released {
    switch (act) {
      case "close-idle":
        return this.#closeIdle(terms);
      case "close-hopeless":
        return this.#closeHopeless(terms);
      case "drop-lingering":
        return this.#dropLingering(terms);
      case "drop-handshakes":
        return this.#dropHandshakes(terms);
      case "shed":
        return this.#shed(terms);
      default:
        throw new Error(`${act} is no act of a supervised server`);
    }
  }

  // ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** As many as are too many, where that is known. */
  #closeIdle({ connections, ...terms }: ActTerms): Released {
    const most = connections === Infinity ? atMost(this.links, LEAST_CLOSED) : connections;
    return this.#letGo(this.#longestIdle(most), [], terms);
  }

  #closeHopeless({ dryRun }: ActTerms): Released {
    const victims = this.#hopeless(atMost(this.links, LEAST_CLOSED));
    const released = releasedBy(victims);
    if (!dryRun) {
      for (const connection of victims) {
        this.#host.refusals.rejected(connection.remoteAddress, "write-stalled", "its peer takes nothing");
        this.#connections.close(connection);
      }
    }
    return released;
  }

  #dropLingering({ dryRun }: ActTerms): Released {
    const { door } = this.#connections;
    const connections = door.lingering.size;
    if (!dryRun) door.dropLingering();
    return { ...NOTHING, connections };
  }

  #dropHandshakes({ dryRun }: ActTerms): Released {
    const victims = this.#slow(atMost(this.#connections.door.handshaking, LEAST_CLOSED));
    const released = releasedBy(victims);
    if (!dryRun) for (const connection of victims) this.#connections.crowdOut(connection, "overloaded");
    return released;
  }

  /** Idle connections. If they are too few, connections with requests, those with most bytes to write first. */
  #shed(terms: ActTerms): Released {
    const idle = this.#longestIdle(terms.mostShed);
    return this.#letGo(idle, this.#fullest(terms.mostShed - idle.length), terms);
  }

  /** Idle connections are closed. Clients of busy ones are asked to leave when they have their answers. */
  #letGo(
    idle: readonly SupervisedConnection[],
    busy: readonly SupervisedConnection[],
    { dryRun, resource }: Pick<ActTerms, "dryRun" | "resource">,
  ): Released {
    // An HTTP/2 session is asked, too, as streams may be on their way: it is closed when its client has heard of it.
    const closed = idle.filter(({ isHttp2 }) => !isHttp2);
    const asked = [...idle.filter(({ isHttp2 }) => isHttp2), ...busy];
    const released = releasedBy(closed);
    if (!dryRun) {
      for (const connection of closed) this.#connections.close(connection);
      for (const connection of asked) connection.leave();
      this.#host.refusals.countShed(resource, closed.length + asked.length);
    }
    return { ...released, victims: addressesOf([...idle, ...busy]) };
  }

  // ── those that an act can take ──────────────────────────────────────────────────────────────────────────────────

  #hopeless(most: number): SupervisedConnection[] {
    return hopeless(this.#connections.open, most, this.#host.writeStallMs, this.#host.now());
  }

  /** Connections in their handshake that had time for more than one round trip. */
  #slow(most: number): SupervisedConnection[] {
    const beganBefore = this.#host.now() - IDLE_MS;
    return oldest(
      filtered(this.#connections.door.inHandshake(), ({ beganMs }) => beganMs <= beganBefore),
      most,
    );
  }

  #longestIdle(most: number): SupervisedConnection[] {
    const { door } = this.#connections;
    const nowMs = this.#host.now();
    const mayEnd = (connection: SupervisedConnection): boolean =>
      connection.isHttp2 ? !connection.isLeaving : !connection.hasBegun && door.isOldIdle(connection, nowMs);
    const found: SupervisedConnection[] = [];
    for (const connection of door.idle.keys()) {
      if (found.length >= most) break;
      if (mayEnd(connection)) found.push(connection);
    }
    return found;
  }

  /** Of a protocol that only the application knows nobody can tell whether a request is under way. */
  #fullest(most: number): SupervisedConnection[] {
    const isBusy = (connection: SupervisedConnection): boolean => connection.requests > 0 && !connection.isLeaving;
    return fullest(filtered(this.#connections.open, isBusy), most);
  }
}

function* filtered<T>(items: Iterable<T>, isOne: (item: T) => boolean): Iterable<T> {
  for (const item of items) if (isOne(item)) yield item;
}

function addressesOf(connections: readonly SupervisedConnection[]): string[] {
  return connections.map(({ remoteAddress }) => remoteAddress);
}

/** What these free when they are closed. */
function releasedBy(victims: readonly SupervisedConnection[]): Released {
  let bytes = 0;
  for (const { pendingBytes } of victims) bytes += pendingBytes;
  return { ...NOTHING, victims: addressesOf(victims), connections: victims.length, bytes, sharedBytes: bytes };
}
