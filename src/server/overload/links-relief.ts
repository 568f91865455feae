/** What a server of links can do against overload, whatever their protocol. */
import type { OverloadAction } from "../../core/overload/actions.ts";
import { biggest, cheapestToResume, hopeless, oldest } from "../../core/overload/victims.ts";
import { ShedTimes } from "../../core/server/shed-times.ts";
import type { LinkLoad, ServerLinkOwner } from "../link-owner.ts";
import type { ServedLinks } from "../served-links.ts";
import { type ActTerms, atMost, LEAST_CLOSED, NOTHING, type Released, type Relief } from "./relief.ts";

/** A link has bytes to write for so long, and none of them gets on: it is hopeless. As long as a plain link waits. */
const WRITE_STALL_MS = 15_000;

/** The parts of the server besides its links. */
export interface ReliefHost {
  /** Connections that are closed, and whose clients have still to read why. */
  lingering(): number;
  /** Whether less is read in each turn of the event loop. */
  readLess(isInForce: boolean): void;
  /** The clock of the links. */
  now(): number;
  random(): number;
}

interface Candidate extends LinkLoad {
  served: ServerLinkOwner;
}

export class LinksRelief implements Relief {
  readonly #served: ServedLinks;
  readonly #host: ReliefHost;
  readonly #times: ShedTimes;

  constructor(served: ServedLinks, host: ReliefHost) {
    this.#served = served;
    this.#host = host;
    this.#times = new ShedTimes(host.random());
  }

  get links(): number {
    return this.#served.links;
  }

  enforce(condition: OverloadAction, why: string): void {
    switch (condition) {
      case "shrink-windows":
        return this.#served.memory.lend(why === "");
      case "refuse-sessions":
        return this.#served.refuse("sessions", why);
      case "refuse-standbys":
        return this.#served.refuse("standbys", why);
      case "read-less":
        return this.#host.readLess(why !== "");
      default:
        throw new Error(`${condition} is no condition`);
    }
  }

  isIdle(action: OverloadAction): boolean {
    switch (action) {
      case "forget-received":
        return isEmpty(this.#forgettable());
      case "close-hopeless":
        return this.#hopeless(1).length === 0;
      case "evict-waiting":
        return isEmpty(this.#waiting());
      case "shed":
        return isEmpty(this.#sheddable());
      case "refuse-standbys":
        return this.#served.resumeForMs === 0;
      case "drop-lingering":
        return this.#host.lingering() === 0 || this.#served.lingering.size === 0;
      case "drop-handshakes":
        return this.#served.handshaking === 0;
      // Its connections are those of sessions.
      case "close-idle":
        return true;
      default:
        return false;
    }
  }

  carryOut(act: OverloadAction, terms: ActTerms): Released {
    const before = this.#served.sharedMemory;
    const released = this.#carryOut(act, terms);
    const sharedBytes = this.#served.sharedMemory.map(({ bytes }, n) => (before[n]?.bytes ?? 0) - bytes);
    return { ...released, sharedBytes: Math.max(0, ...sharedBytes) };
  }

  #carryOut(act: OverloadAction, terms: ActTerms): Released {
    switch (act) {
      case "forget-received":
        return this.#forget(terms);
      case "close-hopeless":
        return this.#closeHopeless(terms);
      case "evict-waiting":
        return this.#evict(terms);
      case "shed":
        return this.#shed(terms);
      case "drop-lingering":
        return this.#dropLingering(terms);
      case "drop-handshakes":
        return this.#dropHandshakes(terms);
      default:
        throw new Error(`${act} is no act`);
    }
  }

  // ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #forget({ dryRun }: ActTerms): Released {
    const victims = [...this.#forgettable()];
    const bytes = sum(victims, (served) => (dryRun ? served.forgettableBytes : served.forgetReceived()));
    return { ...NOTHING, victims: idsOf(victims), bytes };
  }

  #closeHopeless({ dryRun }: ActTerms): Released {
    const victims = this.#hopeless(atMost(this.links, LEAST_CLOSED));
    const before = sum(victims, ({ core }) => core.heldBytes);
    if (!dryRun) for (const served of victims) served.closeStalled();
    // A session keeps its log.
    const bytes = dryRun ? 0 : before - sum(victims, ({ core }) => core.heldBytes);
    return { ...NOTHING, victims: idsOf(victims), connections: victims.length, bytes };
  }

  /** The longest waiting first, and no more of them than hold what is too much. */
  #evict({ dryRun, bytes: wanted }: ActTerms): Released {
    const waiting = Array.from(this.#waiting(), (served) => ({ served, beganMs: served.waitsSinceMs() }));
    const victims: ServerLinkOwner[] = [];
    let bytes = 0;
    for (const { served } of oldest(waiting, atMost(waiting.length, 1))) {
      if (bytes >= wanted) break;
      bytes += served.core.heldBytes;
      victims.push(served);
      if (!dryRun) served.evict();
    }
    return { ...NOTHING, victims: idsOf(victims), sessions: victims.length, bytes };
  }

  #shed({ bytes: wanted, dryRun, mostShed, resource, sheds }: ActTerms): Released {
    const isForMemory = sheds === "biggest";
    const candidates = this.#sheddable();
    const chosen = isForMemory ? biggest(candidates, mostShed, wanted) : cheapestToResume(candidates, mostShed);
    const victims = chosen
      .map(({ served }) => served)
      .filter((served) => dryRun || this.#served.shed(served, this.#times.next(this.#served.resumeForMs), resource));
    // The log of a session that was shed stays. What its client will send again does not have to.
    const bytes = isForMemory && !dryRun ? sum(victims, (served) => served.forgetReceived()) : 0;
    return { ...NOTHING, victims: idsOf(victims), connections: victims.length, bytes };
  }

  #dropLingering({ dryRun }: ActTerms): Released {
    const { lingering } = this.#served;
    const connections = Math.min(lingering.size, this.#host.lingering());
    if (!dryRun) lingering.drop();
    return { ...NOTHING, connections };
  }

  #dropHandshakes({ dryRun }: ActTerms): Released {
    const { handshaking } = this.#served;
    const most = Math.min(handshaking, atMost(handshaking, LEAST_CLOSED));
    return { ...NOTHING, connections: dryRun ? most : this.#served.dropOldestArrivals(most) };
  }

  // ── those that an act can take ──────────────────────────────────────────────────────────────────────────────────

  *#candidates(): Iterable<Candidate> {
    for (const served of this.#served.owners()) yield { ...served.load(), served };
  }

  #hopeless(most: number): ServerLinkOwner[] {
    return hopeless(this.#candidates(), most, WRITE_STALL_MS, this.#host.now()).map(({ served }) => served);
  }

  *#sheddable(): Iterable<Candidate> {
    for (const candidate of this.#candidates()) if (candidate.isSheddable) yield candidate;
  }

  *#waiting(): Iterable<ServerLinkOwner> {
    for (const served of this.#served.owners()) if (served.waitsSinceMs() < Infinity) yield served;
  }

  *#forgettable(): Iterable<ServerLinkOwner> {
    for (const served of this.#served.owners()) if (served.forgettableBytes > 0) yield served;
  }
}

function isEmpty(found: Iterable<unknown>): boolean {
  for (const _ of found) return false;
  return true;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}

function idsOf(victims: readonly ServerLinkOwner[]): string[] {
  return victims.map(({ link }) => link.id);
}
