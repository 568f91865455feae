/** Which connections are let in, which give way to them, and how the others are turned away. */
import type { Duplex } from "node:stream";
import { ComeBackTimes, overloadedRetryMs } from "../core/server/come-back-times.ts";
import { Crowd } from "../core/server/crowd.ts";
import { Shares } from "../core/server/shares.ts";
import { StreamConnection } from "../io/connection.ts";
import { destroy } from "../io/destroy.ts";
import { cutOff } from "../io/reset.ts";
import type { Clock } from "../link/ports.ts";
import type { Refusals } from "../server/refusals.ts";
import { MOST_LINGERING } from "../server/lingering.ts";
import { IDLE_MS, type SupervisedConnection } from "./connection.ts";
import type { SuperviseLimitName } from "./options.ts";

const TOO_MANY: Readonly<Record<SuperviseLimitName, string>> = {
  connections: "too many connections",
  handshakes: "too many handshakes",
  connectionsPerAddress: "too many connections of this address",
  acceptsPerSecond: "too many new connections",
};

export interface DoorOptions {
  limits: Readonly<Record<SuperviseLimitName, number>>;
  /** Clients speak HTTP/1 without TLS: one that is refused is told so. */
  isClearHttp1: boolean;
  /** Nothing but the end of a connection says that it is whole. */
  isRaw: boolean;
  clock: Clock;
  random: () => number;
  refusals: Refusals;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #accepts: Shares;
  readonly #comeBack: ComeBackTimes;
  readonly #all = new Crowd<SupervisedConnection>();
  readonly #handshaking = new Crowd<SupervisedConnection>();
  /** HTTP connections without a request, the longest idle first, each with the time since when it is idle. */
  readonly #idle = new Map<SupervisedConnection, number>();
  /** The same by address. */
  readonly #idleOf = new Crowd<SupervisedConnection>();
  readonly #lingering = new Set<Duplex>();
  /** Why new connections are refused, whatever the limits say; "": they are not. */
  #shutBecause = "";

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#accepts = new Shares(options.limits.acceptsPerSecond);
    this.#comeBack = new ComeBackTimes(options.random);
  }

  get open(): number {
    return this.#all.size;
  }

  get handshaking(): number {
    return this.#handshaking.size;
  }

  inHandshake(): Iterable<SupervisedConnection> {
    return this.#handshaking.items();
  }

  /** The longest idle first. */
  get idle(): ReadonlyMap<SupervisedConnection, number> {
    return this.#idle;
  }

  /** Connections that were answered 503, and whose clients have not closed them yet. */
  get lingering(): ReadonlySet<Duplex> {
    return this.#lingering;
  }

  /** Waits no longer for refused clients to read why. */
  dropLingering(): void {
    for (const socket of this.#lingering) destroy(socket);
  }

  /** Refuses new connections for that reason, until it is taken back with "". */
  refuseAll(why: string): void {
    this.#shutBecause = why;
  }

  /** Answers whether the connection is let in. Others may give way to it; one that is refused is closed. */
  mayEnter(socket: Duplex, { peer, remoteAddress }: Pick<SupervisedConnection, "peer" | "remoteAddress">): boolean {
    const nowMs = this.#options.clock.now();
    if (this.#shutBecause !== "") {
      this.#refuse(socket, this.#shutBecause, remoteAddress, overloadedRetryMs(this.#options.random()));
      return false;
    }
    const limit = this.#lacking(peer, nowMs);
    if (limit === undefined) return true;
    const { limits, refusals } = this.#options;
    refusals.turnedAway.add(limit, nowMs);
    const retryAfterMs = this.#comeBack.next(peer, limits.acceptsPerSecond, nowMs);
    this.#refuse(socket, TOO_MANY[limit], remoteAddress, retryAfterMs);
    return false;
  }

  /** Whether a new connection of this address meets a limit, so that another one has to give way. */
  isFull(peer: string): boolean {
    return this.#ownLimit(peer) || this.#sharedLimit() !== undefined;
  }

  /** Clients of a Unix socket have no address, so nobody can tell how many are one's own. */
  #ownLimit(peer: string): boolean {
    return peer !== "" && this.#all.countOf(peer) >= this.#options.limits.connectionsPerAddress;
  }

  #sharedLimit(): "handshakes" | "connections" | undefined {
    const { connections, handshakes } = this.#options.limits;
    if (this.#handshaking.size >= handshakes) return "handshakes";
    return this.#all.size >= connections ? "connections" : undefined;
  }

  /** The limit that a new connection of this address has met. */
  #lacking(peer: string, nowMs: number): SuperviseLimitName | undefined {
    if (this.#ownLimit(peer)) return "connectionsPerAddress";
    const limit = this.#sharedLimit();
    const victim = limit === undefined ? undefined : this.#victim(limit, peer, nowMs);
    if (limit !== undefined && victim === undefined) return limit;
    if (!this.#accepts.take(peer, nowMs)) return "acceptsPerSecond";
    if (limit !== undefined && victim !== undefined) this.#evict(victim, limit, nowMs);
    return undefined;
  }

  /** The connection that gives way to a new one of `peer`. */
  #victim(limit: "handshakes" | "connections", peer: string, nowMs: number): SupervisedConnection | undefined {
    const shaking = (): SupervisedConnection | undefined => this.#handshaking.pick(this.#options.random());
    if (limit === "handshakes") return shaking();
    const { largest } = this.#idleOf;
    // Not before those in their handshake of an address that has many: its silent ones would push out all idle ones.
    if (this.#handshaking.largest.size > largest.size) return shaking();
    const [ofMost] = largest;
    const [longest] = this.#idle.keys();
    const old = [ofMost, longest].find((each) => each !== undefined && this.isOldIdle(each, nowMs));
    if (old !== undefined) return old;
    // An address that uses its many connections all the time does not keep others out.
    if (ofMost !== undefined && this.#all.countOf(ofMost.peer) > this.#all.countOf(peer) + 1) return ofMost;
    return shaking();
  }

  /** Whether it has been idle for so long that a request is hardly on its way. */
  isOldIdle(connection: SupervisedConnection, nowMs: number): boolean {
    return nowMs - (this.#idle.get(connection) ?? Infinity) >= IDLE_MS;
  }

  #evict(victim: SupervisedConnection, limit: SuperviseLimitName, nowMs: number): void {
    this.#options.refusals.turnedAway.add(limit, nowMs);
    this.crowdOut(victim, TOO_MANY[limit]);
  }

  /** Closes a connection that was let in, as there is no room for it any more. */
  crowdOut(victim: SupervisedConnection, reason: string): void {
    this.#options.refusals.refused(refusal(reason, victim.remoteAddress, 0));
    victim.destroy();
    this.left(victim);
  }

  #refuse(socket: Duplex, reason: string, remoteAddress: string, retryAfterMs: number): void {
    const { refusals, isClearHttp1, isRaw } = this.#options;
    const isAnswered = isClearHttp1 && this.#lingering.size < MOST_LINGERING;
    refusals.refused(refusal(reason, remoteAddress, isAnswered ? retryAfterMs : 0));
    if (!isAnswered) return isRaw ? cutOff(socket) : destroy(socket);
    this.#lingering.add(socket);
    socket.once("close", () => this.#lingering.delete(socket));
    // Reads on until the client closes: closing with unread input would make TCP discard the answer.
    new StreamConnection(socket, true, remoteAddress).end([unavailable(retryAfterMs)]);
  }

  // ── where each connection is ────────────────────────────────────────────────────────────────────────────────────

  entered(connection: SupervisedConnection): void {
    this.#all.add(connection.peer, connection);
    if (connection.phase === "handshaking") this.#handshaking.add(connection.peer, connection);
  }

  /** Its handshake is over. */
  introduced(connection: SupervisedConnection): void {
    this.#handshaking.delete(connection.peer, connection);
  }

  isIdle(connection: SupervisedConnection): void {
    this.#idle.set(connection, this.#options.clock.now());
    this.#idleOf.add(connection.peer, connection);
  }

  isBusy(connection: SupervisedConnection): void {
    this.#idle.delete(connection);
    this.#idleOf.delete(connection.peer, connection);
  }

  left(connection: SupervisedConnection): void {
    this.#all.delete(connection.peer, connection);
    this.introduced(connection);
    this.isBusy(connection);
  }
}

function refusal(reason: string, remoteAddress: string, retryAfterMs: number): Parameters<Refusals["refused"]>[0] {
  return { code: "overloaded", reason, sessionId: "", remoteAddress, retryAfterMs };
}

/** The answer of a server that is overloaded, to whatever the request is. */
function unavailable(retryAfterMs: number): Buffer {
  const retryAfter = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return Buffer.from(
    `HTTP/1.1 503 Service Unavailable\r\nRetry-After: ${retryAfter}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    "latin1",
  );
}
