/**
 * A simulated network. Its connections deliver bytes in order, in random pieces and with a delay. They can be cut at
 * any byte, stalled, refused or delayed, and can drop bytes. Everything happens on an `EventClock`, and every choice
 * comes from one random source, so a run can be repeated from its seed.
 */
import { CLOSED_BY_PEER } from "../core/session/link-events.ts";
import type { EventClock } from "./clock.ts";
import { Countdowns } from "./countdowns.ts";
import type { Direction } from "./faults.ts";

export interface SocketEvents {
  onData(chunk: Buffer): void;
  /** Called once, as the last event. */
  onClose(reason: string): void;
  /** There is room again after `roomBytes` was 0. */
  onDrain(): void;
  /** `pendingBytes` has fallen to 0, or was 0 after bytes were written; never called within write(). */
  readonly onWritten?: (() => void) | undefined;
}

/** The path to one address. All but `refuses` and `dialDelayMs` applies to open connections as well. */
export interface Path {
  latencyMs: number;
  jitterMs: number;
  stalled: { "to-server": boolean; "to-client": boolean };
  refuses: boolean;
  /** The most that a dial takes in addition to `latencyMs`. */
  dialDelayMs: number;
  /** Added to `latencyMs` and `jitterMs`, for one direction. */
  added: Record<Direction, { delayMs: number; jitterMs: number }>;
  /** Counted over all connections together. */
  readonly countdowns: Countdowns;
}

export class SimNetwork {
  readonly clock: EventClock;
  readonly random: () => number;
  /** How many bytes each direction of a connection holds before `roomBytes` is 0: the kernel's buffers. */
  readonly kernelBytes: number;
  /** Less room than this counts as none: a kernel does not wake a writer for every byte. */
  readonly leastRoomBytes: number;
  readonly #listeners = new Map<string, (socket: SimSocket) => void>();
  readonly #paths = new Map<string, Path>();
  readonly #wires = new Set<Wire>();

  constructor(clock: EventClock, random: () => number, kernelBytes: number, leastRoomBytes = 1) {
    this.clock = clock;
    this.random = random;
    this.kernelBytes = kernelBytes;
    this.leastRoomBytes = leastRoomBytes;
  }

  path(address: string): Path {
    let path = this.#paths.get(address);
    if (path === undefined) {
      const stalled = { "to-server": false, "to-client": false };
      const added = { "to-server": { delayMs: 0, jitterMs: 0 }, "to-client": { delayMs: 0, jitterMs: 0 } };
      const countdowns = new Countdowns();
      path = { latencyMs: 1, jitterMs: 0, stalled, refuses: false, dialDelayMs: 5, added, countdowns };
      this.#paths.set(address, path);
    }
    return path;
  }

  listen(address: string, onConnection: (socket: SimSocket) => void): void {
    this.#listeners.set(address, onConnection);
  }

  /** Nobody listens any more. Open connections stay. */
  unlisten(address: string): void {
    this.#listeners.delete(address);
  }

  /**
   * Calls back once, unless the caller cancels the dial with the returned function. `from` names the dialler, if
   * needed.
   */
  dial(address: string, onOpen: (socket: SimSocket) => void, onRefused: () => void, from = ""): () => void {
    const path = this.path(address);
    return this.clock.schedule(path.latencyMs + path.dialDelayMs * this.random(), () => {
      const listener = this.#listeners.get(address);
      if (listener === undefined || path.refuses) return onRefused();
      const wire = new Wire(this, address, from, () => this.#wires.delete(wire));
      this.#wires.add(wire);
      listener(wire.server);
      onOpen(wire.client);
    });
  }

  /** Open connections to the address: all of them, or only those that `from` dialled. */
  wires(address: string, from?: string): Wire[] {
    return [...this.#wires].filter((wire) => wire.address === address && (from === undefined || wire.from === from));
  }

  /** Lets bytes that a stall on the path held back go on. */
  resume(address: string): void {
    for (const wire of this.wires(address)) wire.resume();
  }

  /** Delivers everything that is on its way to or from the address now. */
  hurry(address: string): void {
    for (const wire of this.wires(address)) wire.hurry();
  }

  /** Cuts every connection to the address at once. */
  cutAll(address: string, reason: string): void {
    for (const wire of this.wires(address)) wire.cutNow(reason);
  }
}

/** Both directions of one connection. */
export class Wire {
  readonly address: string;
  readonly from: string;
  readonly client: SimSocket;
  readonly server: SimSocket;
  readonly #network: SimNetwork;
  readonly #onGone: () => void;
  #bytesUntilCut = Infinity;

  constructor(network: SimNetwork, address: string, from: string, onGone: () => void) {
    this.#network = network;
    this.address = address;
    this.from = from;
    this.#onGone = onGone;
    this.client = new SimSocket(network, this, "to-server");
    this.server = new SimSocket(network, this, "to-client");
  }

  peer(socket: SimSocket): SimSocket {
    return socket === this.client ? this.server : this.client;
  }

  /** Each end hears of the cut separately, some time within `withinMs`; until then bytes may still arrive there. */
  cut(withinMs: number): void {
    for (const socket of [this.client, this.server]) {
      this.#network.clock.schedule(withinMs * this.#network.random(), () => socket.kill("cut"));
    }
  }

  cutNow(reason: string): void {
    this.client.kill(reason);
    this.server.kill(reason);
  }

  /** Cuts both ends at once after exactly so many more bytes were delivered, counted over both directions together. */
  cutAfter(bytes: number): void {
    this.#bytesUntilCut = bytes;
  }

  /** The given end hears of the cut at once, the other end never: from now on nothing passes. */
  cutAt(end: "client" | "server"): void {
    this.swallow("to-server");
    this.swallow("to-client");
    this[end].kill("cut");
  }

  /**
   * Bytes that are on their way in this direction, or are written from now on, arrive after `forMs` at the earliest.
   */
  hold(direction: Direction, forMs: number): void {
    const socket = direction === "to-server" ? this.client : this.server;
    socket.heldUntilMs = Math.max(socket.heldUntilMs, this.#network.clock.nowMs + forMs);
  }

  /** From now on bytes that are written in this direction are dropped. */
  swallow(direction: Direction): void {
    (direction === "to-server" ? this.client : this.server).swallowed = true;
  }

  /** How many of `bytes` may be delivered before the cut. */
  allow(bytes: number): number {
    const allowed = Math.min(bytes, this.#bytesUntilCut);
    this.#bytesUntilCut -= allowed;
    return allowed;
  }

  get isCutDue(): boolean {
    return this.#bytesUntilCut <= 0;
  }

  resume(): void {
    this.client.pump();
    this.server.pump();
  }

  hurry(): void {
    this.client.hurry();
    this.server.hurry();
  }

  ended(): void {
    if (this.client.closed && this.server.closed) this.#onGone();
  }
}

/** One end of a connection. The code that is handed the socket sets `events` at once. */
export class SimSocket {
  events: SocketEvents = { onData: () => {}, onClose: () => {}, onDrain: () => {} };
  closed = false;
  /** Bytes that this end writes are dropped. */
  swallowed = false;
  /** Nothing that this end has written arrives before this time. */
  heldUntilMs = 0;
  readonly wire: Wire;
  readonly #network: SimNetwork;
  readonly #direction: Direction;
  /** Items written at this end and not delivered yet; the close is the last. */
  #queue: Array<{ bytes: Buffer | "end"; dueMs: number }> = [];
  #queuedBytes = 0;
  #lastDueMs = 0;
  /** Cancels the next delivery; undefined when none is planned. */
  #planned: (() => void) | undefined;
  #full = false;
  #ended = false;
  #isPaused = false;
  /** `onWritten` is planned. */
  #isReporting = false;

  constructor(network: SimNetwork, wire: Wire, direction: Direction) {
    this.#network = network;
    this.wire = wire;
    this.#direction = direction;
  }

  get #path(): Path {
    return this.#network.path(this.wire.address);
  }

  /** How many bytes should be written now; write() takes more all the same. */
  get roomBytes(): number {
    const room = this.#network.kernelBytes - this.#queuedBytes;
    if (room >= this.#network.leastRoomBytes) return room;
    this.#full = true;
    return 0;
  }

  /** Bytes that were written and find no room in the kernel. */
  get pendingBytes(): number {
    return Math.max(0, this.#queuedBytes - this.#network.kernelBytes);
  }

  write(bytes: Buffer): void {
    if (this.closed || this.#ended || bytes.length === 0) return;
    if (!this.swallowed) {
      // A copy, as a kernel makes one: the writer may change its buffer afterwards.
      this.#queue.push({ bytes: Buffer.from(bytes), dueMs: this.#due() });
      this.#queuedBytes += bytes.length;
      this.pump();
    }
    this.#report();
  }

  /** Plans `onWritten`, for all bytes that were written by the time it is called. */
  #report(): void {
    if (this.events.onWritten === undefined || this.#isReporting || this.pendingBytes > 0) return;
    this.#isReporting = true;
    this.#network.clock.schedule(0, () => {
      this.#isReporting = false;
      if (!this.closed && this.pendingBytes === 0) this.events.onWritten?.();
    });
  }

  /** Nothing more arrives at this end, until `resume()` or its close. */
  pause(): void {
    this.#isPaused = !this.closed;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.wire.peer(this).pump();
  }

  #due(): number {
    const { latencyMs, jitterMs, added } = this.#path;
    const more = added[this.#direction];
    const delayMs = latencyMs + more.delayMs + (jitterMs + more.jitterMs) * this.#network.random();
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#network.clock.nowMs + delayMs);
    return this.#lastDueMs;
  }

  /** The peer hears of the close after the bytes that were written. This end hears nothing more. */
  end(): void {
    if (this.closed || this.#ended) return;
    this.#ended = true;
    if (!this.swallowed) this.#queue.push({ bytes: "end", dueMs: this.#due() });
    this.closed = true;
    this.resume();
    this.pump();
    this.wire.ended();
  }

  /** Closes at once, as a reset does: bytes that were written may still arrive, or not. */
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.#network.random() < 0.5) {
      this.#queue = [];
      this.#unplan();
    }
    if (!this.swallowed) this.#queue.push({ bytes: "end", dueMs: this.#due() });
    this.resume();
    this.pump();
    this.wire.ended();
  }

  /** The network closes this end, whose owner hears of that. */
  kill(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.resume();
    this.events.onClose(reason);
    this.wire.ended();
  }

  /** Plans the delivery of the next item. */
  pump(): void {
    if (this.#planned !== undefined) return;
    const next = this.#queue[0];
    if (next === undefined || this.#isHeldUp) return;
    const dueMs = Math.max(this.heldUntilMs, next.dueMs);
    this.#planned = this.#network.clock.schedule(dueMs - this.#network.clock.nowMs, () => {
      this.#planned = undefined;
      this.#deliver();
    });
  }

  /** Delivers everything that was written by now, as if it were due. */
  hurry(): void {
    this.#lastDueMs = this.#network.clock.nowMs;
    for (const each of this.#queue) each.dueMs = this.#lastDueMs;
    this.#unplan();
    this.pump();
  }

  #unplan(): void {
    this.#planned?.();
    this.#planned = undefined;
  }

  /** The path is stalled, or the peer does not read. */
  get #isHeldUp(): boolean {
    return this.#path.stalled[this.#direction] || this.wire.peer(this).#isPaused;
  }

  #deliver(): void {
    const next = this.#queue[0];
    if (next === undefined || this.#isHeldUp) return;
    if (this.heldUntilMs > this.#network.clock.nowMs) return this.pump();
    const peer = this.wire.peer(this);
    const { bytes } = next;
    if (bytes === "end") {
      this.#queue = [];
      if (!this.swallowed) peer.kill(CLOSED_BY_PEER);
      return;
    }
    // In pieces: a byte, all of it, or something in between.
    const { random } = this.#network;
    const dice = random();
    const wanted = dice < 0.1 ? 1 : dice < 0.6 ? bytes.length : 1 + Math.floor(random() * bytes.length);
    const allowed = this.wire.allow(Math.min(wanted, bytes.length));
    const { passing, isDue } = this.swallowed
      ? { passing: allowed, isDue: false }
      : this.#path.countdowns.admit(this.#direction, allowed);
    const piece = bytes.subarray(0, passing);
    const { pendingBytes } = this;
    this.#queuedBytes -= piece.length;
    if (pendingBytes > 0) this.#report();
    if (piece.length === bytes.length) this.#queue.shift();
    else next.bytes = bytes.subarray(piece.length);
    if (!this.swallowed && !peer.closed && piece.length > 0) peer.events.onData(piece);
    if (isDue) return this.#network.cutAll(this.wire.address, "ECONNRESET");
    if (this.wire.isCutDue) return this.wire.cutNow("cut");
    if (this.#full && this.roomBytes > 0 && !this.closed) {
      this.#full = false;
      this.events.onDrain();
    }
    this.pump();
  }
}
