/** One connection through the fault relay, under the faults that are on. */

import type { Socket } from "node:net";
import { resetSocket } from "../io/reset.ts";
import { realTime } from "../real-time.ts";
import { bothDirections, type Direction } from "./faults.ts";

/** The faults that are on in one direction. */
export interface Condition {
  readonly blackHoled: boolean;
  readonly stalled: boolean;
  readonly delayMs: number;
  readonly jitterMs: number;
}

/** The interface of the relay for a lane. */
export interface Road {
  readonly conditions: Readonly<Record<Direction, Condition>>;
  /** A countdown has run out: nothing is passed on until the bytes before the cut are flushed; then the relay cuts. */
  readonly frozen: boolean;
  /** How many of `bytes` may pass; counts them. */
  admit(direction: Direction, bytes: number): number;
  /** To be called while frozen, whenever something has been flushed. */
  cutIfFlushed(): void;
}

/** How long the ends of a connection that was cut with "fin" may take to close it. */
const finMsMax = 1_000;
/** How long Linux keeps a half-closed connection whose process is gone (tcp_fin_timeout). */
const lingerMs = 60_000;
/** How many bytes a new connection takes at once, with the smaller of Linux's initial windows. */
const atOnceBytes = 64 * 1024;

/** A client, the server that was dialled for it, and a lane each way. */
export class RelayConnection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #lanes: Readonly<Record<Direction, Lane>>;
  readonly #closed: Promise<void>;
  /** Destroys the connection: some time after a "fin", or after both ends have left a black hole. */
  #timer: NodeJS.Timeout | undefined;

  constructor(client: Socket, server: Socket, road: Road, onClose: () => void) {
    this.#client = client;
    this.#server = server;
    this.#lanes = {
      "to-server": new Lane(client, server, "to-server", road),
      "to-client": new Lane(server, client, "to-client", road),
    };
    this.#closed = new Promise((resolve) => {
      const onSocketClose = (): void => {
        if (!client.closed || !server.closed) return this.#lingerIfAbandoned();
        realTime.clearTimeout(this.#timer);
        onClose();
        resolve();
      };
      for (const socket of [client, server]) {
        socket.on("end", () => this.#lingerIfAbandoned());
        socket.on("close", onSocketClose);
      }
    });
  }

  get flushed(): boolean {
    return this.#lanes["to-server"].flushed && this.#lanes["to-client"].flushed;
  }

  /** Whether so much was carried that some bytes may wait in our kernel for room in the receiver's. */
  get carriedMuch(): boolean {
    return Math.max(this.#client.bytesWritten, this.#server.bytesWritten) > atOnceBytes;
  }

  pump(): void {
    for (const direction of bothDirections) this.#lanes[direction].pump();
  }

  blackHole(direction: Direction): void {
    this.#lanes[direction].blackHole();
    this.#lingerIfAbandoned();
  }

  cut(how: "fin" | "rst"): void {
    this.#closeLanes();
    if (how === "rst") {
      resetSocket(this.#client);
      resetSocket(this.#server);
      return;
    }
    // Only end(): a socket that is destroyed with unread bytes sends a reset. The lanes read and drop such bytes.
    this.#client.end();
    this.#server.end();
    this.#destroyIn(finMsMax);
  }

  destroy(): Promise<void> {
    this.#closeLanes();
    this.#client.destroy();
    this.#server.destroy();
    return this.#closed;
  }

  #closeLanes(): void {
    for (const direction of bothDirections) this.#lanes[direction].close();
  }

  #lingerIfAbandoned(): void {
    const swallowing = this.#lanes["to-server"].blackHoled || this.#lanes["to-client"].blackHoled;
    if (swallowing && hasLeft(this.#client) && hasLeft(this.#server)) this.#destroyIn(lingerMs);
  }

  #destroyIn(ms: number): void {
    realTime.clearTimeout(this.#timer);
    this.#timer = realTime.setTimeout(() => void this.destroy(), ms);
  }
}

/** Bytes, or the end of the sender's side. */
type Item = Buffer | "fin" | "rst";

/** A lane reads no further while so many bytes wait for their time. Bytes that are due are the socket's to buffer. */
const queuedBytesMax = 4 * 1024 * 1024;
/** The approximate memory of a waiting item besides its bytes, so that many small items are bounded too. */
const itemBytes = 256;

/**
 * One direction of a connection.
 *
 * - open: items are passed on; they wait in the queue while a fault holds them.
 * - black-holed: items are read and dropped; during a stall they are not read.
 * - closed: the connection was cut, or the receiver is gone; everything that still arrives is read and dropped.
 */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #road: Road;
  #state: "open" | "black-holed" | "closed" = "open";
  /** Items leave in this order, so an item that is due waits for the one before it. A "rst" is the last. */
  #queue: { readonly item: Item; readonly dueMs: number }[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #unflushed = 0;

  constructor(from: Socket, to: Socket, direction: Direction, road: Road) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#road = road;
    from.on("data", (chunk) => this.#receive(chunk));
    from.on("end", () => this.#receive("fin"));
    // After any error, a failed dial included, this side is lost. The "error" listener must never be removed.
    from.on("error", () => this.#receive("rst"));
    to.on("drain", () => this.#readOrPause());
    to.on("close", () => this.#state === "open" && this.close());
    if (road.conditions[direction].blackHoled) this.#state = "black-holed";
    this.#readOrPause();
  }

  get blackHoled(): boolean {
    return this.#state === "black-holed";
  }

  /** Whether everything that was passed on is in the kernel. */
  get flushed(): boolean {
    return this.#unflushed === 0;
  }

  blackHole(): void {
    if (this.#state === "open") this.#drop("black-holed");
  }

  close(): void {
    this.#drop("closed");
  }

  /** Passes on the items that may go now. To be called when conditions change; an extra call does no harm. */
  pump(): void {
    realTime.clearTimeout(this.#timer);
    while (this.#queue.length > 0 && !this.#held) {
      const { item, dueMs } = this.#queue[0]!;
      const waitMs = this.#delayed ? dueMs - realTime.now() : 0;
      if (waitMs > 0) {
        this.#timer = realTime.setTimeout(() => this.pump(), Math.ceil(waitMs));
        break;
      }
      this.#queue.shift();
      this.#queuedBytes -= cost(item);
      this.#deliver(item);
    }
    this.#readOrPause();
  }

  get #held(): boolean {
    return this.#road.conditions[this.#direction].stalled || this.#road.frozen;
  }

  get #delayed(): boolean {
    const { delayMs, jitterMs } = this.#road.conditions[this.#direction];
    return delayMs + jitterMs > 0;
  }

  #receive(item: Item): void {
    if (this.#state !== "open") return;
    if (!this.#held && !this.#delayed) {
      // The queue is empty here, since pump() empties it when a condition ends.
      this.#deliver(item);
      this.#readOrPause();
      return;
    }
    const { delayMs, jitterMs } = this.#road.conditions[this.#direction];
    this.#queue.push({ item, dueMs: realTime.now() + delayMs + Math.random() * jitterMs });
    this.#queuedBytes += cost(item);
    // Otherwise the timer of the first item runs already.
    if (this.#queue.length === 1) this.pump();
    else this.#readOrPause();
  }

  #deliver(item: Item): void {
    if (item === "rst") return resetSocket(this.#to);
    if (this.#to.destroyed || this.#to.writableEnded) return;
    if (item === "fin") return void this.#to.end();
    const passing = this.#road.admit(this.#direction, item.length);
    if (passing > 0) {
      this.#unflushed += 1;
      this.#to.write(passing === item.length ? item : item.subarray(0, passing), this.#onFlushed);
    }
    if (this.#road.frozen) this.#road.cutIfFlushed();
  }

  readonly #onFlushed = (): void => {
    this.#unflushed -= 1;
    if (this.#road.frozen) this.#road.cutIfFlushed();
  };

  #drop(state: "black-holed" | "closed"): void {
    this.#state = state;
    this.#queue = [];
    this.#queuedBytes = 0;
    realTime.clearTimeout(this.#timer);
    this.#readOrPause();
  }

  #readOrPause(): void {
    const room = this.#state !== "open" || (!this.#to.writableNeedDrain && this.#queuedBytes < queuedBytesMax);
    const reads = this.#state === "closed" || (room && !this.#held);
    if (reads !== this.#from.isPaused()) return;
    if (reads) this.#from.resume();
    else this.#from.pause();
  }
}

function cost(item: Item): number {
  return itemBytes + (typeof item === "string" ? 0 : item.length);
}

function hasLeft(socket: Socket): boolean {
  return socket.readableEnded || socket.destroyed;
}
