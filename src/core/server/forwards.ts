/**
 * Connections whose sessions other servers have: those that wait until their server was reached, and those that are
 * forwarded to it. Nobody has checked their proofs here, so their number is limited: of all that wait, and for each
 * session.
 */
import { Crowd } from "./crowd.ts";

/**
 * For one session. Its client has a connection and a standby, or an attempt that it has given up; a server closes the
 * others at once.
 */
const MOST_OF_SESSION = 8;

/** A connection that has named a session of another server. */
interface Named {
  readonly peer: string;
  readonly sessionId: string;
  readonly channel: { readonly id: number };
}

export class Forwards<Waiting extends Named> {
  readonly #mostWaiting: () => number;
  /** Those that wait, by address. */
  readonly #waiting = new Crowd<Waiting>();
  /** All of them, by the session that they have named. */
  readonly #bySession = new Crowd<number>();
  /** Those that are forwarded. */
  readonly #forwarded = new Map<number, { sessionId: string; peer: string }>();

  /** @param mostWaiting how many may wait: the limit may change */
  constructor(mostWaiting: () => number) {
    this.#mostWaiting = mostWaiting;
  }

  /** Connections that are forwarded. */
  get size(): number {
    return this.#forwarded.size;
  }

  /** Whether there is room for another connection of that session. */
  hasRoomFor(sessionId: string): boolean {
    return this.#bySession.countOf(sessionId) < MOST_OF_SESSION;
  }

  /** The connection waits. Answers one that gives way, of the address with most of them, if there are too many. */
  wait(handshake: Waiting, random: number): Waiting | undefined {
    this.#waiting.add(handshake.peer, handshake);
    this.#bySession.add(handshake.sessionId, handshake.channel.id);
    return this.#waiting.size > this.#mostWaiting() ? this.#waiting.pick(random) : undefined;
  }

  /** The connection does not wait any more. */
  leave(handshake: Waiting): void {
    const { peer, sessionId, channel } = handshake;
    if (this.#waiting.delete(peer, handshake)) this.#bySession.delete(sessionId, channel.id);
  }

  begin({ sessionId, peer, channel }: Waiting): void {
    this.#forwarded.set(channel.id, { sessionId, peer });
    this.#bySession.add(sessionId, channel.id);
  }

  /** The connection is closed. Answers its address if it was forwarded. */
  end(channel: number): string | undefined {
    const forwarded = this.#forwarded.get(channel);
    if (forwarded === undefined) return undefined;
    this.#forwarded.delete(channel);
    this.#bySession.delete(forwarded.sessionId, channel);
    return forwarded.peer;
  }
}
