import { connect, createServer, type Server, type Socket } from "node:net";
import { checkOptions, integer, text } from "../link/check.ts";
import { realTime } from "../real-time.ts";
import { RelayConnection, type Condition, type Road } from "./relay-connection.ts";
import { Countdowns } from "./countdowns.ts";
import {
  bothDirections,
  checkBytes,
  checkHow,
  checkLatency,
  directionsOf,
  type Direction,
  type Faults,
} from "./faults.ts";
import { PortClaim } from "./port-claim.ts";

/**
 * A TCP relay in this process, between your client and any server. It listens on 127.0.0.1.
 *
 * - Without faults the relay is transparent: it passes on half-close, reset and backpressure, and if the target can't
 *   be reached it resets the client. (A reset that follows a FIN shows at the next write, as Node doesn't watch an
 *   ended socket.)
 * - A cut with RST can discard bytes that a kernel has and the receiving application hasn't read yet. cutAfterBytes()
 *   therefore stops all traffic until the last byte is in the kernel (for 1 s at most), and for 2 ms more, or 25 ms
 *   where a connection has carried more than 64 KiB; then it cuts. A receiver that reads bytes as they arrive gets
 *   exactly so many.
 * - On Node 22 a reset that arrives together with bytes shows as a clean end, to the relay as to any other program.
 * - The relay keeps a black-holed connection, without buffers, until both ends have closed it and 60 s more, or until
 *   close(): an end that has half-closed it and waits for an answer must go on waiting.
 * - latency() keeps up to 4 MiB for each connection and direction; the relay reads no further than that.
 * - While the relay refuses connections it keeps its port: no other process can get it.
 * - After close() faults do nothing.
 *
 * @param target Where connections go: `host` is 127.0.0.1 by default. `listenPort` is the relay's own port, by default
 * 0: any free one.
 * Rejects INVALID_OPTION for a port that is none, INVALID_ARGUMENT for no options, and with the system's error if
 * `listenPort` can't be had.
 *
 * @example
 * ```ts
 * const relay = await faultRelay({ port: 7000 });
 * const link = manager.open({ port: relay.port });
 * relay.cut("rst"); // link is back within a quarter of a second
 * ```
 */
export function faultRelay(target: { port: number; host?: string; listenPort?: number }): Promise<FaultRelay> {
  return openRelay(target, {});
}

/** What a relay tells of. */
export interface RelayWatch {
  /** The target has accepted a connection. */
  onConnected?: () => void;
  /** The target could not be dialled. */
  onUnreachable?: (error: Error) => void;
  /** Bytes were passed on. */
  onPassed?: (direction: Direction, bytes: number) => void;
  /** cutAfterBytes() has cut. */
  onCut?: () => void;
  /** A connection is gone whose client had sent so many bytes. */
  onClosed?: (sent: number) => void;
}

/** A fault relay that is watched. */
export async function openRelay(target: Parameters<typeof faultRelay>[0], watch: RelayWatch): Promise<FaultRelay> {
  checkOptions("faultRelay()", target, "{ port: 7000 }", ["port", "host", "listenPort"]);
  const { port, host = HOST, listenPort = 0 } = target;
  integer("listenPort", listenPort, 0, 65_535);
  const relay = new Relay({ port: integer("port", port, 1, 65_535), host: text("host", host) }, watch);
  await relay.start(listenPort);
  return relay;
}

export interface FaultRelay extends Faults, AsyncDisposable {
  /** Where the relay listens, on 127.0.0.1. */
  readonly port: number;
  /** Connections made through the relay until now. */
  readonly connections: number;
  /** Destroys all connections; resolves when nothing listens any more. May be called again. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
/** How long a receiver that doesn't read may hold up cutAfterBytes(). */
const flushMsMax = 1_000;
/**
 * How long the receiver gets to read the last bytes before the reset comes. Several short timers, as after a blocked
 * event loop one timer would run before a receiver in this process has read.
 *
 * - Few bytes reach the receiver's kernel at once; but before libuv 1.52 (Node 22) bytes and a reset that are read
 *   together show as a clean end.
 * - Of many bytes some may wait in the sending kernel for room in the receiver's, and a reset would discard them.
 */
const settleFew = { ticks: 2, tickMs: 1 };
const settleMany = { ticks: 5, tickMs: 5 };
const relistenEveryMs = 50;
const relistenTriesMax = 100;

class Relay implements FaultRelay, Road {
  port = 0;
  connections = 0;
  conditions: Record<Direction, Condition> = { "to-server": fair(), "to-client": fair() };
  frozen = false;
  readonly #target: { port: number; host: string };
  readonly #watch: RelayWatch;
  readonly #open = new Set<RelayConnection>();
  readonly #countdowns = new Countdowns();
  #flushTimer: NodeJS.Timeout | undefined;
  /** Undefined while connections are refused, and when closed. */
  #listener: Server | undefined;
  /** While connections are refused. */
  #claim: PortClaim | undefined;
  #relistenTimer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(target: { port: number; host: string }, watch: RelayWatch) {
    this.#target = target;
    this.#watch = watch;
  }

  start(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const listener = this.#listen(port, reject);
      listener.once("listening", () => {
        this.port = (listener.address() as { port: number }).port;
        resolve();
      });
    });
  }

  cut(how: "fin" | "rst"): void {
    checkHow(how);
    for (const connection of this.#open) connection.cut(how);
  }

  blackHole(options?: { direction?: Direction }): void {
    for (const direction of directionsOf("blackHole()", options)) {
      this.conditions[direction] = { ...this.conditions[direction], blackHoled: true };
      for (const connection of this.#open) connection.blackHole(direction);
    }
  }

  stall(options?: { direction?: Direction }): void {
    for (const direction of directionsOf("stall()", options)) {
      this.conditions[direction] = { ...this.conditions[direction], stalled: true };
    }
    this.#pumpAll();
  }

  latency(delayMs: number, options?: { jitterMs?: number; direction?: Direction }): void {
    const directions = directionsOf("latency()", options, ["jitterMs"]);
    const jitterMs = checkLatency(delayMs, options?.jitterMs);
    for (const direction of directions) {
      this.conditions[direction] = { ...this.conditions[direction], delayMs, jitterMs };
    }
    this.#pumpAll();
  }

  cutAfterBytes(bytes: number, options?: { direction?: Direction }): void {
    checkBytes(bytes);
    this.#countdowns.add(bytes, directionsOf("cutAfterBytes()", options));
  }

  refuse(): void {
    this.#stopListening();
    this.#keepPort();
  }

  heal(): void {
    if (this.#closed !== undefined) return;
    for (const direction of bothDirections) this.conditions[direction] = fair();
    this.#countdowns.clear();
    this.#pumpAll();
    realTime.clearTimeout(this.#relistenTimer);
    // Else the claim's own socket would be the listener's first client.
    if (this.#claim?.connecting === true) this.#leavePort();
    if (this.#listener === undefined) this.#relisten(relistenTriesMax);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutDown());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  admit(direction: Direction, bytes: number): number {
    const { passing, isDue } = this.#countdowns.admit(direction, bytes);
    if (isDue) this.frozen = true;
    if (passing > 0) this.#watch.onPassed?.(direction, passing);
    return passing;
  }

  cutIfFlushed(): void {
    const open = [...this.#open];
    if (!open.every((connection) => connection.flushed)) {
      this.#flushTimer ??= realTime.setTimeout(() => this.#cutNow(), flushMsMax);
    } else {
      realTime.clearTimeout(this.#flushTimer);
      this.#cutAfter(open.some((connection) => connection.carriedMuch) ? settleMany : settleFew);
    }
  }

  #cutAfter({ ticks, tickMs }: { ticks: number; tickMs: number }): void {
    this.#flushTimer = realTime.setTimeout(() => {
      if (ticks === 1) this.#cutNow();
      else this.#cutAfter({ ticks: ticks - 1, tickMs });
    }, tickMs);
  }

  #cutNow(): void {
    realTime.clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    this.cut("rst");
    this.frozen = false;
    this.#watch.onCut?.();
  }

  #pumpAll(): void {
    for (const connection of this.#open) connection.pump();
  }

  #accept(client: Socket): void {
    this.connections += 1;
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const onFailure = (error: Error): void => this.#watch.onUnreachable?.(error);
    server.once("error", onFailure).once("connect", () => {
      server.off("error", onFailure);
      this.#watch.onConnected?.();
    });
    const connection = new RelayConnection(client, server, this, () => {
      this.#open.delete(connection);
      this.#watch.onClosed?.(client.bytesRead);
    });
    this.#open.add(connection);
  }

  #listen(port: number, onError: (error: Error) => void): Server {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    listener.on("error", onError);
    listener.once("listening", () => {
      if (this.#listener === listener) this.#leavePort();
    });
    listener.listen({ port, host: HOST });
    this.#listener = listener;
    return listener;
  }

  /**
   * To be refused, a dial must find no listener: accepting and resetting it would look different. The listener stops at
   * once; its "close" event comes later, as open connections stay.
   */
  #stopListening(): void {
    realTime.clearTimeout(this.#relistenTimer);
    this.#listener?.close();
    this.#listener = undefined;
  }

  #keepPort(): void {
    if (this.#closed === undefined) this.#claim ??= new PortClaim(this.port);
  }

  #leavePort(): void {
    this.#claim?.release();
    this.#claim = undefined;
  }

  /** Tries again if the port is taken: another process may have got it, if only as the local port of a connection. */
  #relisten(triesLeft: number): void {
    const listener = this.#listen(this.port, (error) => {
      if (this.#listener !== listener) return;
      this.#listener = undefined;
      // heal() has returned, so nobody can catch this. An uncaught exception is better than a test that hangs.
      if (triesLeft === 0) throw error;
      this.#relistenTimer = realTime.setTimeout(() => this.#relisten(triesLeft - 1), relistenEveryMs);
    });
  }

  async #shutDown(): Promise<void> {
    const listener = this.#listener;
    this.#stopListening();
    this.#leavePort();
    this.frozen = false;
    realTime.clearTimeout(this.#flushTimer);
    const closing = [...this.#open].map((connection) => connection.destroy());
    if (listener !== undefined) closing.push(new Promise((resolve) => listener.close(() => resolve())));
    await Promise.all(closing);
  }
}

function fair(): Condition {
  return { blackHoled: false, stalled: false, delayMs: 0, jitterMs: 0 };
}
