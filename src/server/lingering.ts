/**
 * Connections that are closed with the reason on them. A server waits until the client has read it, for a few at once:
 * bytes that are not read when a socket is closed make TCP reset the connection, and the reason is lost with it.
 */
import { LINGER_MS } from "../io/connection.ts";
import type { Clock, Connection } from "../link/ports.ts";

/** After telling a client why it is closed, a server waits for its close; for so many at once, others are cut off. */
export const MOST_LINGERING = 100;

export interface LingeringHost {
  readonly clock: Clock;
  /** Whether to wait for one more. */
  mayLinger(): boolean;
}

export class Lingering {
  readonly #host: LingeringHost;
  /** Those that were closed first are first. Some of them may be over. */
  #ended: Array<{ connection: Connection; untilMs: number }> = [];

  constructor(host: LingeringHost) {
    this.#host = host;
  }

  /** Writes `last` and closes the connection: in order where the client may be waited for, else at once. */
  end(connection: Connection, last: readonly Buffer[]): void {
    const { clock } = this.#host;
    if (!this.#host.mayLinger()) {
      if (last.length > 0) connection.write(last);
      return connection.destroy();
    }
    const nowMs = clock.now();
    this.#forget(nowMs);
    this.#ended.push({ connection, untilMs: nowMs + LINGER_MS });
    connection.end(last);
  }

  /** Connections whose clients may be waited for still. */
  get size(): number {
    this.#forget(this.#host.clock.now());
    return this.#ended.length;
  }

  /** Waits for none of them any more. */
  drop(): void {
    for (const { connection } of this.#ended.splice(0)) connection.destroy();
  }

  #forget(nowMs: number): void {
    const first = this.#ended.findIndex(({ untilMs }) => untilMs > nowMs);
    this.#ended = first < 0 ? [] : this.#ended.slice(first);
  }
}
